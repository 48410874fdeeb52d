// Ranks as threads: every chunk is done once, and its sums come to rank 0 in the round that it belongs to,
// whatever ranks do when.
#include "calibrate/leader.h"

#include <gtest/gtest.h>
#include <random>
#include <thread>

#include "calibrate/gather.h"
#include "calibrate/wave_checkpoint.h"
#include "cluster/hub.h"

namespace assay::calibrate {
namespace {

/// A rank's sums: chunk c gives c + 1 to two weights of one input, and tells that as its loss.
class Work {
  public:
    explicit Work(unsigned seed) : random_(seed) {}

    WaveReport run(const cluster::Range& chunks) {
        std::this_thread::sleep_for(std::chrono::microseconds(random_() % 3000));
        WaveReport report;
        report.chunks = chunks;
        report.seconds = 1e-3;
        report.losses.emplace_back();
        for (std::int64_t chunk = chunks.first; chunk < chunks.first + chunks.count; ++chunk) {
            const auto value = static_cast<double>(chunk + 1);
            for (const char* weight : {"gate", "up"})
                imatrix::add_entry(sums.matrix, weight, {1, {value}, {-value}, {1}});
            sums.similarity.add(similarity::Kind::Layer, 0, value, 1);
            report.losses[0].push_back({value, 0, 1});
        }
        return report;
    }

    Collected sums;

  private:
    std::mt19937 random_;
};

/// Of as many chunks as any test deals, a token each.
const std::vector<std::int64_t> kStarts = equal_starts(1000, 1);

const RoundOrder kOrder{{3, 5}, {{"up", {0, 7}}, {"gate", {}}}};

void follow(cluster::Communicator& communicator, bool fails) {
    Follower follower(communicator, 1 + communicator.rank() % 3);
    Work work(static_cast<unsigned>(communicator.rank()));
    int n_orders = 0;
    while (true) {
        const Deal deal = follower.next();
        if (deal.kind == Deal::End) return;
        if (deal.kind == Deal::Begin) {
            ++n_orders;
            EXPECT_EQ(deal.order.left_out, kOrder.left_out);
            EXPECT_EQ(deal.order.forced, kOrder.forced);
            continue;
        }
        try {
            if (deal.kind == Deal::Gather) {
                EXPECT_EQ(std::exchange(n_orders, 0), 1) << "one for each round";
                gather_sums(communicator, work.sums);
                work.sums = Collected();
                continue;
            }
            if (fails && deal.chunks.first > 5) throw Error(ErrorKind::Numeric, "chunk", "is bad");
            follower.done(work.run(deal.chunks));
        } catch (const Stopped&) {
            work.sums = Collected();
        } catch (const Error& error) {
            return Follower::fail(communicator, error);
        }
    }
}

class LeaderTest : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Ranks, LeaderTest, testing::Values(1, 2, 3, 4, 7));

TEST_P(LeaderTest, RoundsBringAllChunksTogether) {
    cluster::Hub hub(GetParam());
    hub.run([&](cluster::Communicator& communicator) {
        if (communicator.rank() > 0) return follow(communicator, false);
        Leader leader(communicator, 2);
        Work work(0);
        std::mt19937 random(20261127);
        std::int64_t done = 0;
        double losses = 0;
        Collected all;
        for (int round = 0; round < 40; ++round) {
            const std::int64_t wanted = 1 + static_cast<std::int64_t>(random() % 12);
            const bool early = round % 3 == 0;
            leader.begin_round({done, wanted}, kStarts, kOrder);
            while (const auto dealt = leader.next()) {
                leader.done(work.run(*dealt));
                if (early) leader.close_round();
            }
            while (!leader.wait_for_others()) {
            }
            const std::int64_t end = leader.dealt_end();
            EXPECT_LE(end, done + wanted);
            EXPECT_TRUE(early || end == done + wanted);
            gather_sums(communicator, work.sums);
            for (const auto& [weight, entry] : work.sums.matrix.entries)
                imatrix::add_entry(all.matrix, weight, entry);
            all.similarity.add(work.sums.similarity);
            work.sums = Collected();
            for (const WaveReport& report : leader.take_reports())
                for (const perplexity::Sums& sums : report.losses[0]) losses += sums.nll;
            done = end;
            const auto expected = static_cast<double>(done * (done + 1) / 2);
            EXPECT_EQ(losses, expected);
            if (done == 0) continue;
            for (const char* weight : {"gate", "up"}) {
                EXPECT_EQ(all.matrix.entries.at(weight).sum_sq[0], expected) << round;
                EXPECT_EQ(all.matrix.entries.at(weight).sum[0], -expected);
                EXPECT_EQ(all.matrix.entries.at(weight).counts[0], static_cast<double>(done));
            }
            EXPECT_EQ(all.similarity.sums(similarity::Kind::Layer)[0].cos.high, expected);
        }
        leader.finish();
    });
}

TEST_P(LeaderTest, StoppedInTheMiddleAllLeave) {
    cluster::Hub hub(GetParam());
    hub.run([&](cluster::Communicator& communicator) {
        if (communicator.rank() > 0) return follow(communicator, false);
        Leader leader(communicator, 1);
        leader.begin_round({0, 50}, kStarts, kOrder);
        Work work(0);
        for (int i = 0; i < 3; ++i)
            if (const auto dealt = leader.next()) leader.done(work.run(*dealt));
        leader.stop();
        leader.finish();
    });
}

/// docs/cluster.md: 16 bytes for each column of an input, once from each rank but 0; 24 where f64 has lost
/// something of squares and of values.
TEST_P(LeaderTest, GatheringMovesWhatTheCostModelSays) {
    for (const std::size_t low : {std::size_t{0}, std::size_t{10000}}) {
        cluster::Hub hub(GetParam());
        hub.run([&](cluster::Communicator& communicator) {
            imatrix::Entry entry{10000, std::vector<double>(10000, 1), std::vector<double>(10000, 2), {1}};
            entry.sum_sq_low = entry.sum_low = std::vector<float>(low, 0x1p-60F);
            Collected sums;
            // Those of one input are told once, whatever stands between their names.
            sums.matrix.entries = {{"gate", entry}, {"gate_inp", {1, {1}, {2}, {1}}}, {"up", entry}};
            gather_sums(communicator, sums);
            const auto together = static_cast<double>(GetParam());
            EXPECT_TRUE(communicator.rank() > 0 || sums.matrix.entries.at("up").counts[0] == together);
        });
        const double expected = static_cast<double>(GetParam() - 1) * (low > 0 ? 24.0 : 16.0) * 10000;
        EXPECT_GE(static_cast<double>(hub.bytes()), expected);
        // Beside it, who is where: a mask of processors from each rank and to each.
        const double places = 1100.0 * GetParam() * (GetParam() + 1);
        EXPECT_LE(static_cast<double>(hub.bytes()), 1.1 * expected + places);
    }
}

TEST(LeaderFailure, IsToldUnderTheRanksName) {
    cluster::Hub hub(2);
    hub.run([&](cluster::Communicator& communicator) {
        if (communicator.rank() > 0) return follow(communicator, true);
        Leader leader(communicator, 1);
        leader.begin_round({0, 60}, kStarts, kOrder);
        try {
            while (!leader.wait_for_others()) {
            }
            FAIL() << "nothing was told";
        } catch (const Error& error) {
            EXPECT_STREQ(error.what(), "rank 1 on odd: chunk: is bad");
            EXPECT_EQ(error.kind(), ErrorKind::Numeric);
        }
    });
}

}  // namespace
}  // namespace assay::calibrate
