#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "broker/core/ports/store.hpp"
#include "broker/storage/committer.hpp"
#include "broker/storage/database.hpp"

namespace spoke::broker {

/// Reads messages for shards on a thread of its own, one request after the other.
///
/// A message that is not there or is damaged is answered with none; one that was handed over by
/// another shard is there once that is written, so it is looked for again then. Where the database
/// is damaged, the request waits until it is made anew, and the messages near the damage are there
/// again. When the disk cannot be read, it is tried again; if the disk can be written meanwhile and
/// only this place cannot be read, its messages count as damaged after ten tries.
class Reader {
public:
    struct Request {
        std::uint8_t shard = 0;
        SessionRef asker{};
        SessionNumber session{};
        std::vector<StoredAs> deliveries{};
    };
    struct Parts {
        StoreSettings const& settings;
        Database& database;
        StoreShards& shards;
    };
    /// All outlive this.
    explicit Reader(Parts parts) : parts_(parts) {}
    ~Reader() { stop(); }
    Reader(Reader const&) = delete;
    Reader& operator=(Reader const&) = delete;

    void start(std::function<void(std::uint8_t shard)> wake);
    /// What was not answered is not answered any more.
    void stop();

    /// Any thread.
    void ask(Request request);
    /// How often the disk could not be read. Any thread.
    [[nodiscard]] std::uint64_t errors() const noexcept { return errors_; }

private:
    void run();
    /// Gives false if the store is stopped before there is an answer.
    [[nodiscard]] bool answer(Request const& request);
    [[nodiscard]] bool pause(std::chrono::milliseconds duration);
    /// Waits for everything that any shard has handed over so far. As answer().
    [[nodiscard]] bool await_written();
    void note_error(rocksdb::Status const& status);
    void log_damage(Request const& request, StoredAs as, std::string const& why);
    /// Whether the disk could be read; what is missing stays null.
    [[nodiscard]] bool find(Request const& request, std::vector<LoadedMessage>& messages,
                            bool is_last_try);
    [[nodiscard]] bool find_own(rocksdb::DB& database, Request const& request,
                                std::vector<LoadedMessage>& messages, bool is_last_try);
    [[nodiscard]] bool find_shared(rocksdb::DB& database, Request const& request,
                                   std::vector<LoadedMessage>& messages, bool is_last_try);
    [[nodiscard]] MessagePtr decode(Request const& request, StoredAs as, std::string_view key,
                                    std::string_view value);

    Parts parts_;
    std::function<void(std::uint8_t shard)> wake_{};
    std::atomic<std::uint64_t> errors_{0};
    bool has_errors_ = false;  // the request at hand, and the log says so
    bool is_missing_ = false;  // one of its messages
    std::mutex mutex_;         // of the three below
    std::condition_variable news_;
    std::deque<Request> requests_{};
    bool is_stopping_ = false;
    std::thread thread_{};
};

}  // namespace spoke::broker
