#include "broker/storage/reader.hpp"

#include <fmt/format.h>
#include <rocksdb/iterator.h>
#include <rocksdb/options.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "broker/storage/records.hpp"

namespace spoke::broker {
namespace {

constexpr int kTriesMax = 10;
/// How often it is looked whether what was handed over is written; that is seldom waited for.
constexpr std::chrono::milliseconds kLookInterval{1};
/// Records that are read past before it is cheaper to seek.
constexpr int kStepsMax = 8;

std::string_view view(rocksdb::Slice slice) {
    return {slice.data(), slice.size()};
}

/// That it is not there is an answer; the rest may be another in a while.
bool is_answer(rocksdb::Status const& status) {
    return status.ok() || status.IsNotFound();
}

/// Moves to the first key from `key` on.
void move_to(rocksdb::Iterator& at, std::string const& key) {
    for (int steps = 0; at.Valid() && steps < kStepsMax; ++steps, at.Next()) {
        if (at.key().compare(key) >= 0) return;
    }
    at.Seek(key);
}

}  // namespace

void Reader::start(std::function<void(std::uint8_t shard)> wake) {
    wake_ = std::move(wake);
    thread_ = std::thread{[this] { run(); }};
}

void Reader::stop() {
    {
        std::lock_guard lock{mutex_};
        is_stopping_ = true;
    }
    news_.notify_all();
    if (thread_.joinable()) thread_.join();
}

void Reader::ask(Request request) {
    {
        std::lock_guard lock{mutex_};
        requests_.push_back(std::move(request));
    }
    news_.notify_one();
}

void Reader::run() {
    for (;;) {
        Request request;
        {
            std::unique_lock lock{mutex_};
            news_.wait(lock, [&] { return is_stopping_ || !requests_.empty(); });
            if (is_stopping_) return;
            request = std::move(requests_.front());
            requests_.pop_front();
        }
        if (!answer(request)) return;
    }
}

bool Reader::answer(Request const& request) {
    std::vector<LoadedMessage> messages;
    for (auto as : request.deliveries) messages.push_back({request.asker, as.number, {}});
    bool has_waited = false;
    for (int tries = 1;;) {
        is_missing_ = false;
        if (find(request, messages, tries >= kTriesMax)) {
            if (!is_missing_ || std::exchange(has_waited, true)) break;
            if (!await_written()) return false;
            continue;
        }
        if (!pause(parts_.settings.reopen_interval)) return false;
        // While it is closed there is nothing to be tried.
        if (parts_.database.use().get()) ++tries;
    }
    has_errors_ = false;
    parts_.shards[request.shard]->add_loaded(std::move(messages));
    wake_(request.shard);
    return true;
}

bool Reader::pause(std::chrono::milliseconds duration) {
    std::unique_lock lock{mutex_};
    return !news_.wait_for(lock, duration, [&] { return is_stopping_; });
}

bool Reader::await_written() {
    std::vector<std::pair<RocksDbShard*, StoreTicket>> open;
    for (auto const& shard : parts_.shards) {
        if (shard->is_used.load(std::memory_order_relaxed))
            open.emplace_back(shard.get(), shard->handed_over());
    }
    for (;;) {
        std::erase_if(open,
                      [](auto const& entry) { return entry.first->durable() >= entry.second; });
        if (open.empty()) return true;
        if (!pause(kLookInterval)) return false;
    }
}

bool Reader::find(Request const& request, std::vector<LoadedMessage>& messages, bool is_last_try) {
    auto use = parts_.database.use();
    auto* database = use.get();
    return database && find_own(*database, request, messages, is_last_try) &&
           find_shared(*database, request, messages, is_last_try);
}

bool Reader::find_own(rocksdb::DB& database, Request const& request,
                      std::vector<LoadedMessage>& messages, bool is_last_try) {
    // Those of one session lie side by side in the order of their numbers, which is that of most
    // requests.
    std::string end;
    for (auto as : request.deliveries) {
        if (as.owns_message()) end = std::max(end, message_key(request.session, as));
    }
    if (end.empty()) return true;
    end.push_back('\0');
    rocksdb::Slice upper{end};
    rocksdb::ReadOptions options;
    options.iterate_upper_bound = &upper;
    std::unique_ptr<rocksdb::Iterator> at{database.NewIterator(options)};
    for (std::size_t i = 0; i < messages.size(); ++i) {
        auto as = request.deliveries[i];
        if (!as.owns_message()) continue;
        auto key = message_key(request.session, as);
        if (at->Valid() && at->key().compare(key) > 0) at->Seek(key);
        move_to(*at, key);
        if (at->Valid() && at->key() == key) {
            messages[i].message = decode(request, as, key, view(at->value()));
        } else if (!at->status().ok()) {
            note_error(at->status());
            if (!is_last_try) return false;
            log_damage(request, as, at->status().ToString());
            at.reset(database.NewIterator(options));
        } else {
            is_missing_ = true;
        }
    }
    return true;
}

bool Reader::find_shared(rocksdb::DB& database, Request const& request,
                         std::vector<LoadedMessage>& messages, bool is_last_try) {
    std::vector<std::string> keys;
    std::vector<std::size_t> places;
    for (std::size_t i = 0; i < messages.size(); ++i) {
        if (request.deliveries[i].owns_message()) continue;
        keys.push_back(message_key(request.session, request.deliveries[i]));
        places.push_back(i);
    }
    if (keys.empty()) return true;
    std::vector<rocksdb::Slice> slices{keys.begin(), keys.end()};
    std::vector<rocksdb::PinnableSlice> values(keys.size());
    std::vector<rocksdb::Status> statuses(keys.size());
    database.MultiGet({}, database.DefaultColumnFamily(), keys.size(), slices.data(), values.data(),
                      statuses.data());
    for (std::size_t i = 0; i < keys.size(); ++i) {
        auto as = request.deliveries[places[i]];
        if (statuses[i].ok()) {
            messages[places[i]].message = decode(request, as, keys[i], view(values[i]));
        } else if (!is_answer(statuses[i]) && !is_last_try) {
            note_error(statuses[i]);
            return false;
        } else if (statuses[i].IsNotFound()) {
            is_missing_ = true;
        } else {
            log_damage(request, as, statuses[i].ToString());
        }
    }
    return true;
}

MessagePtr Reader::decode(Request const& request, StoredAs as, std::string_view key,
                          std::string_view value) {
    auto message = decode_message(key, value);
    if (message) return *message;
    log_damage(request, as, std::string{describe(message.error())});
    return {};
}

void Reader::note_error(rocksdb::Status const& status) {
    parts_.database.report_damage(status);
    ++errors_;
    if (std::exchange(has_errors_, true)) return;
    parts_.settings.log(LogLevel::error,
                        fmt::format("store: cannot read from {}: {}; it is tried again",
                                    parts_.settings.directory, status.ToString()));
}

void Reader::log_damage(Request const& request, StoredAs as, std::string const& why) {
    parts_.settings.log(LogLevel::error,
                        fmt::format("store: the message of delivery {} to session {} is lost: {}",
                                    as.number.value, request.session.value, why));
}

}  // namespace spoke::broker
