// What the store costs without a broker around it: one shard's thread puts deliveries, sends them,
// and removes them. `store_bench PATTERN [COUNT] [TURN] [LAG]`; build it with the preset `fast`.
//   online  each delivery is sent at once and removed LAG messages later
//   queue   put and left
//   drain   read in windows, sent and removed
#include <fmt/core.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "broker/core/ports/store.hpp"
#include "broker/storage/rocksdb_store.hpp"

namespace {

using namespace spoke;
using namespace spoke::broker;

constexpr std::size_t kOpenMax = 5000;  // put and not durable yet, as publishers' windows allow
constexpr std::size_t kReadWindow = 100;

double cpu_seconds() {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    auto seconds = [](timeval const& t) {
        return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
    };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double thread_seconds() {
    timespec time{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

/// Written to block devices and page cache by this process.
std::uint64_t written_bytes() {
    std::ifstream io{"/proc/self/io"};
    std::string word;
    std::uint64_t value = 0;
    while (io >> word >> value) {
        if (word == "wchar:") return value;
    }
    return 0;
}

MessagePtr message() {
    static Buffer const payload(64, std::byte{'x'});
    return Message::make(
        {.topic = "bench/p2p/17", .payload = payload, .qos = mqtt::Qos::at_least_once});
}

class Bench {
public:
    Bench(std::string const& directory, std::size_t turn)
        : store_{{.directory = directory}}, turn_{turn} {
        struct Nothing final : StoreVisitor {
            void on_session(StoredSession) override {}
            void on_subscription(SessionNumber, std::string_view,
                                 StoredSubscription const&) override {}
            void on_inbound(SessionNumber, mqtt::PacketId) override {}
            void on_delivery(StoredDelivery, std::optional<StoredProgress>) override {}
            void on_retained(MessagePtr) override {}
        } nothing;
        store_.load(nothing, read_clocks().wall);
        store_.start({.wake = [this](std::uint8_t) { wake(); },
                      .find_retained = [](std::string_view) { return MessagePtr{}; }});
        session_ = shard_.new_session_number();
        shard_.put_session({.number = session_, .client_id = "bench", .expiry_interval = 3600});
        shard_.submit();
    }
    ~Bench() { store_.stop(); }

    void put() {
        StoredDelivery delivery{.session = session_, .as = shard_.reserve(1), .message_size = 130};
        auto as = delivery.as;
        auto ticket = shard_.put_message(message(), {&delivery, 1});
        all_.push_back(as);
        open_.push_back(ticket);
    }

    void send(StoredAs as) {
        StoredDelivery delivery{.session = session_, .as = as, .message_size = 130};
        shard_.put_progress(delivery, {.send_number = ++sent_});
    }

    void remove(StoredAs as) { shard_.remove_delivery(session_, as); }

    void end_of_step() {
        if (++steps_ % turn_ != 0) return;
        shard_.submit();
        settle(kOpenMax);
    }

    /// Waits until at most `count` are not durable.
    void settle(std::size_t count) {
        for (;;) {
            while (!open_.empty() && open_.front() <= shard_.durable()) open_.pop_front();
            if (open_.size() <= count) return;
            std::unique_lock lock{mutex_};
            news_.wait(lock, [&] { return has_news_; });
            has_news_ = false;
        }
    }

    /// Reads `window` deliveries. Gives how many came with their message.
    std::size_t read(std::span<StoredAs const> window) {
        std::vector<LoadedMessage> loaded;
        shard_.read({}, session_, window);
        for (;;) {
            shard_.take_loaded(loaded);
            if (loaded.size() >= window.size()) break;
            std::unique_lock lock{mutex_};
            news_.wait(lock, [&] { return has_news_; });
            has_news_ = false;
        }
        return static_cast<std::size_t>(
            std::ranges::count_if(loaded, [](auto const& l) { return bool{l.message}; }));
    }

    void finish() {
        shard_.submit();
        settle(0);
    }

    std::vector<StoredAs> const& all() const { return all_; }
    StoreStatistics statistics() const { return store_.statistics(); }

private:
    void wake() {
        {
            std::lock_guard lock{mutex_};
            has_news_ = true;
        }
        news_.notify_one();
    }

    std::mutex mutex_;
    std::condition_variable news_;
    bool has_news_ = false;
    RocksDbStore store_;
    ShardStore& shard_{store_.of_shard(0)};
    SessionNumber session_{};
    std::size_t turn_;
    std::size_t steps_ = 0;
    std::uint64_t sent_ = 0;
    std::vector<StoredAs> all_;
    std::deque<StoreTicket> open_;
};

template <class Work>
void measure(char const* what, std::size_t count, Work&& work) {
    auto began = std::chrono::steady_clock::now();
    auto cpu = cpu_seconds();
    auto own = thread_seconds();
    auto written = written_bytes();
    work();
    std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
    auto n = static_cast<double>(count);
    fmt::print(
        "{:8} {:9.0f} /s   CPU {:.3f} us/message, {:.3f} of the shard   {:.0f} bytes written\n",
        what, n / took.count(), (cpu_seconds() - cpu) / n * 1e6, (thread_seconds() - own) / n * 1e6,
        static_cast<double>(written_bytes() - written) / n);
}

void online(Bench& bench, std::size_t count, std::size_t lag) {
    measure("online", count, [&] {
        for (std::size_t i = 0; i < count; ++i) {
            bench.put();
            bench.send(bench.all().back());
            if (i >= lag) bench.remove(bench.all()[i - lag]);
            bench.end_of_step();
        }
        bench.finish();
    });
}

void queue(Bench& bench, std::size_t count) {
    measure("queue", count, [&] {
        for (std::size_t i = 0; i < count; ++i) {
            bench.put();
            bench.end_of_step();
        }
        bench.finish();
    });
}

void drain(Bench& bench) {
    std::span all{bench.all()};
    std::size_t found = 0;
    measure("drain", all.size(), [&] {
        for (std::size_t i = 0; i < all.size(); i += kReadWindow) {
            auto window = all.subspan(i, std::min(kReadWindow, all.size() - i));
            found += bench.read(window);
            for (auto as : window) {
                bench.send(as);
                bench.end_of_step();
            }
            for (auto as : window) {
                bench.remove(as);
                bench.end_of_step();
            }
        }
        bench.finish();
    });
    fmt::print("         {} of {} messages found\n", found, all.size());
}

}  // namespace

int main(int argc, char** argv) {
    std::string_view pattern = argc > 1 ? argv[1] : "online";
    auto number = [&](int at, std::size_t otherwise) {
        return argc > at ? std::strtoull(argv[at], nullptr, 10) : otherwise;
    };
    auto count = number(2, 1'000'000);
    auto directory = std::filesystem::current_path() / "store_bench.data";
    std::filesystem::remove_all(directory);
    {
        Bench bench{directory.string(), number(3, 100)};
        if (pattern == "online") online(bench, count, number(4, 3000));
        if (pattern != "online") queue(bench, count);
        if (pattern == "drain") drain(bench);
        auto statistics = bench.statistics();
        fmt::print("         {} writes, {} of them synced, {} deliveries cancelled\n",
                   statistics.writes, statistics.syncs, statistics.cancelled);
    }
    std::filesystem::remove_all(directory);
}
