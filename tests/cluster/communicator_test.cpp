// Messages find their way, and who falls silent is missed.
#include "cluster/communicator.h"

#include <future>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cluster/hub.h"
#include "core/error.h"

namespace assay::cluster {
namespace {

std::vector<std::byte> bytes_of(int value) { return {std::byte(value), std::byte(value + 1)}; }

class Ranks : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Sizes, Ranks, testing::Values(1, 2, 3, 4, 7, 16));

TEST_P(Ranks, AllHearWhatIsBroadcast) {
    Hub hub(GetParam());
    hub.run([&](Communicator& communicator) {
        for (int round = 0; round < 3; ++round) {
            std::vector<std::byte> bytes;
            if (communicator.rank() == 0) bytes = bytes_of(round);
            communicator.broadcast(bytes);
            EXPECT_EQ(bytes, bytes_of(round)) << communicator.rank();
        }
    });
}

TEST_P(Ranks, MessagesOfAKindComeInOrder) {
    Hub hub(GetParam());
    hub.run([&](Communicator& communicator) {
        constexpr int kMessages = 20;
        if (communicator.rank() != 0) {
            for (int i = 0; i < kMessages; ++i) communicator.send(0, 1 + i % 2, bytes_of(i));
            return;
        }
        std::map<int, int> next;
        for (int i = 0; i < kMessages / 2 * (communicator.size() - 1); ++i) {
            const Message message = communicator.receive(2);
            EXPECT_EQ(message.bytes, bytes_of(2 * next[message.from]++ + 1));
        }
    });
}

TEST_P(Ranks, LongMessagesGoInParts) {
    constexpr std::size_t kMost = 100;
    Hub hub(GetParam());
    hub.part_messages(kMost);
    const auto message = [](std::size_t size, int from) {
        std::vector<std::byte> bytes(size);
        for (std::size_t i = 0; i < size; ++i) bytes[i] = std::byte(i * 7 + static_cast<std::size_t>(from));
        return bytes;
    };
    const std::vector<std::size_t> sizes{0,         1,         kMost - 1,     kMost,
                                         kMost + 1, 2 * kMost, 2 * kMost + 1, 50 * kMost + 7};
    hub.run([&](Communicator& communicator) {
        std::vector<std::byte> bytes;
        if (communicator.rank() == 0) bytes = message(1234, 0);
        communicator.broadcast(bytes);
        EXPECT_EQ(bytes, message(1234, 0));
        if (communicator.rank() != 0) {
            // Two threads at a time, each with messages of a kind of its own.
            std::vector<std::thread> senders;
            for (const int tag : {1, 2})
                senders.emplace_back([&communicator, &sizes, &message, tag] {
                    for (const std::size_t size : sizes)
                        communicator.send(0, tag, message(size, communicator.rank()));
                });
            for (std::thread& sender : senders) sender.join();
            return;
        }
        for (int from = 1; from < communicator.size(); ++from)
            for (const int tag : {2, 1})
                for (const std::size_t size : sizes)
                    EXPECT_EQ(communicator.receive(tag, from).bytes, message(size, from))
                        << tag << ", " << size;
    });
    EXPECT_LE(hub.longest(), kMost);
}

TEST_P(Ranks, KnowWhoIsWhere) {
    Hub hub(GetParam());
    hub.run([&](Communicator& communicator) {
        for (int rank = 0; rank < communicator.size(); ++rank) {
            const Place& place = communicator.place(rank);
            EXPECT_EQ(place.host, rank % 2 == 0 ? "even" : "odd");
            EXPECT_EQ(place.local_rank, rank / 2);
            EXPECT_EQ(place.local_size, (communicator.size() + (rank % 2 == 0 ? 1 : 0)) / 2);
            EXPECT_EQ(place.sharing, place.local_size) << "all may run on the same processors here";
        }
        EXPECT_EQ(communicator.name(0), "rank 0 on even");
    });
}

TEST(Silence, IsNoticedByThoseWhoWait) {
    const Timing quick{std::chrono::milliseconds(1), std::chrono::milliseconds(1),
                       std::chrono::milliseconds(20), std::chrono::milliseconds(300)};
    for (const int lost : {0, 1}) {
        Hub hub(2);
        auto other = std::async(std::launch::async, [&] { return hub.join(1, quick); });
        std::unique_ptr<Communicator> ranks[] = {hub.join(0, quick), other.get()};
        Communicator& left = *ranks[1 - lost];
        std::promise<std::string> told;
        left.on_lost([&](const std::string& sentence) { told.set_value(sentence); });
        hub.silence(lost);
        EXPECT_THROW(left.receive(1), Hub::Aborted);
        EXPECT_THAT(told.get_future().get(), testing::StartsWith(lost == 0 ? "rank 0 on even has not been"
                                                                           : "rank 1 on odd has not been"));
        hub.silence(-1);
        ranks[lost]->on_lost([](const std::string&) {});
        ranks[0].reset();
        ranks[1].reset();
    }
}

TEST(Opening, ThatFailsIsToldAtOnce) {
    EXPECT_THROW(Communicator([] { return std::unique_ptr<Transport>(); }), Error);
}

}  // namespace
}  // namespace assay::cluster
