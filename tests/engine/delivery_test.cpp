// What is sent arrives once, in order, on another thread, in memory that is used again.
#include "engine/delivery.h"

#include <chrono>
#include <cstring>
#include <future>
#include <gtest/gtest.h>
#include <set>
#include <thread>

#include "backend/open.h"
#include "core/error.h"

namespace assay::engine {
namespace {

constexpr std::size_t kMostBytes = std::size_t{1} << 20;

class SilentSink final : public ActivationSink {
  public:
    backend::Totals on_input(const InputSums&) override { return {}; }
    void on_similarity(const SimilaritySums&) override {}
    void on_losses(const ChunkLosses&) override {}
};

class DeliveryTest : public testing::Test {
  protected:
    static backend::OpenOptions cpu() {
        backend::OpenOptions options;
        options.device = "cpu";
        return options;
    }
    /// Sends `bytes` bytes that begin with `number`.
    static void send(Delivery& delivery, std::int64_t number, std::size_t bytes, Delivery::Receive receive) {
        Parcel parcel = delivery.parcel(bytes);
        std::memcpy(parcel.memory->data(), &number, sizeof number);
        delivery.send(std::move(parcel), std::move(receive));
    }
    static std::int64_t number_in(const Parcel& parcel) {
        std::int64_t number = 0;
        std::memcpy(&number, parcel.landing->fetch(parcel.memory->data(), sizeof number).data(),
                    sizeof number);
        return number;
    }

    ThreadPool threads_{1};
    std::unique_ptr<backend::Backend> backend_ = backend::open(cpu(), threads_);
    SilentSink sink_;
    ParcelPool pool_;
};

TEST_F(DeliveryTest, EverythingArrivesInOrderOnAnotherThread) {
    std::vector<std::int64_t> received;
    std::set<std::thread::id> receivers;
    const auto note = [&](std::int64_t number) {
        received.push_back(number);
        receivers.insert(std::this_thread::get_id());
    };
    Delivery delivery(*backend_, sink_, pool_, kMostBytes);
    for (std::int64_t n = 0; n < 100; n += 2) {
        send(delivery, n, 4096, [&](const Parcel& parcel, ActivationSink& sink) {
            EXPECT_GE(parcel.memory->size_bytes(), 4096u);
            EXPECT_EQ(&sink, &sink_);
            note(number_in(parcel));
        });
        delivery.send([&, n](const Parcel& parcel, ActivationSink&) {
            EXPECT_EQ(parcel.memory, nullptr);
            note(n + 1);
        });
    }
    delivery.finish();
    ASSERT_EQ(received.size(), 100u);
    for (std::size_t i = 0; i < received.size(); ++i) EXPECT_EQ(received[i], static_cast<std::int64_t>(i));
    ASSERT_EQ(receivers.size(), 1u);
    EXPECT_NE(*receivers.begin(), std::this_thread::get_id());
}

TEST_F(DeliveryTest, MemoryIsUsedAgain) {
    std::set<const std::byte*> places;
    for (int wave = 0; wave < 3; ++wave) {
        Delivery delivery(*backend_, sink_, pool_, kMostBytes);
        for (int i = 0; i < 20; ++i) {
            send(delivery, i, 1000,
                 [&](const Parcel& parcel, ActivationSink&) { places.insert(parcel.memory->data()); });
            delivery.finish();
        }
    }
    EXPECT_EQ(places.size(), 1u);
}

TEST_F(DeliveryTest, ASlowSinkHoldsTheSenderBack) {
    // Nothing but the few that always may be under way.
    constexpr std::size_t kBytes = kMostBytes + 1;
    constexpr std::int64_t kItems = 2 * plan::kFewParcels;
    std::int64_t received = 0;  // read by this thread where the receiver must be done
    Delivery delivery(*backend_, sink_, pool_, kMostBytes);
    for (std::int64_t n = 0; n < kItems; ++n) {
        send(delivery, n, kBytes, [&](const Parcel&, ActivationSink&) {
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
            ++received;
        });
    }
    EXPECT_GT(delivery.waited_seconds(), 0);
    delivery.finish();
    EXPECT_EQ(received, kItems);
    EXPECT_LE(pool_.size(), plan::kFewParcels + 1);  // and the one that waits in send()
}

TEST_F(DeliveryTest, AnErrorOfTheSinkComesOutAtTheSender) {
    std::int64_t received = 0;
    Delivery delivery(*backend_, sink_, pool_, kMostBytes);
    const auto refuse_third = [&](const Parcel& parcel, ActivationSink&) {
        if (number_in(parcel) == 2) throw Error(ErrorKind::Numeric, "third", "is no number");
        ++received;
    };
    try {
        for (std::int64_t n = 0; n < 100; ++n) send(delivery, n, 64, refuse_third);
        delivery.finish();
        FAIL() << "nothing was thrown";
    } catch (const Error& error) {
        EXPECT_EQ(error.where(), "third");
    }
    EXPECT_THROW(delivery.finish(), Error);
    EXPECT_EQ(received, 2);
}

TEST_F(DeliveryTest, WhatNobodyWaitsForIsDropped) {
    std::int64_t received = 0;
    std::promise<void> all_sent;
    const std::shared_future<void> sent = all_sent.get_future().share();
    {
        Delivery delivery(*backend_, sink_, pool_, kMostBytes);
        for (std::int64_t n = 0; n < 5; ++n)
            send(delivery, n, 64, [&](const Parcel&, ActivationSink&) {
                sent.wait();
                std::this_thread::sleep_for(std::chrono::milliseconds(20));
                ++received;
            });
        all_sent.set_value();
    }
    EXPECT_LT(received, 5);
}

}  // namespace
}  // namespace assay::engine
