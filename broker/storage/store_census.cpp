#include "broker/storage/store_census.hpp"

#include <fmt/format.h>
#include <rocksdb/env.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "broker/storage/files.hpp"
#include "broker/storage/record_check.hpp"
#include "broker/storage/records.hpp"
#include "broker/storage/store_reader.hpp"

namespace spoke::broker {
namespace {

class Counter {
public:
    explicit Counter(StoreCensus& census) : census_(census) {}

    void on_record(std::string_view key, std::string_view value) {
        auto const family = family_of(key);
        if (!family || !has_right_checksum(key, value)) {
            ++census_.damaged;
            return;
        }
        auto& kind = census_.kinds[static_cast<char>(*family)];
        ++kind.records;
        kind.bytes += key.size() + value.size();
        if (*family == RecordFamily::delivery) on_delivery(key, value);
        if (*family == RecordFamily::session) on_session(key, value);
        if (key == meta_key(MetaField::starts)) {
            auto const meta = decode_meta(key, value);
            if (meta) census_.starts = meta->number;
        }
    }

    void finish(std::size_t largest_queues_max) {
        auto& largest = census_.largest_queues;
        for (auto& [session, queue] : queues_) {
            if (queue.messages == 0) continue;
            if (queue.client_id.empty()) queue.client_id = fmt::format("(session {})", session);
            if (census_.oldest.messages == 0 || queue.oldest < census_.oldest.oldest)
                census_.oldest = queue;
            largest.push_back(std::move(queue));
        }
        std::stable_sort(largest.begin(), largest.end(),
                         [](auto const& a, auto const& b) { return a.messages > b.messages; });
        if (largest.size() > largest_queues_max) largest.resize(largest_queues_max);
    }

private:
    void on_delivery(std::string_view key, std::string_view value) {
        auto const record = decode_delivery(key, value);
        if (!record) return;
        auto const& delivery = record->delivery;
        auto& queue = queues_[delivery.session.value];
        if (queue.messages == 0 || delivery.as.number < queue.oldest)
            queue.oldest = delivery.as.number;
        ++queue.messages;
        queue.bytes += delivery.message_size;
        if (!record->progress)
            census_.next_expiry = std::min(census_.next_expiry, delivery.deadline);
    }

    void on_session(std::string_view key, std::string_view value) {
        auto session = decode_session(key, value);
        if (!session) return;
        if (session->is_connected) ++census_.connected;
        queues_[session->number.value].client_id = std::move(session->client_id);
    }

    StoreCensus& census_;
    std::map<std::uint64_t, StoreCensus::Queue> queues_{};
};

void add(StoreCensus::Files& files, std::uint64_t bytes) {
    ++files.number;
    files.bytes += bytes;
}

void count_files(StoreReader const& reader, StoreCensus& census) {
    std::vector<std::string> names;
    list_directory(reader.env(), reader.database(), names).PermitUncheckedError();
    for (auto const& name : names) {
        std::uint64_t bytes = 0;
        reader.env().GetFileSize(reader.database() + "/" + name, &bytes).PermitUncheckedError();
        if (file_number(name, ".sst") != 0)
            add(census.tables, bytes);
        else if (file_number(name, ".log") != 0)
            add(census.logs, bytes);
        else
            add(census.other, bytes);
    }
}

void count_tree(rocksdb::Env& env, std::string const& path, StoreCensus::Files& files) {
    std::vector<std::string> names;
    if (!list_directory(env, path, names).ok()) return;
    for (auto const& name : names) {
        auto const inner = path + "/" + name;
        bool is_directory = false;
        env.IsDirectory(inner, &is_directory).PermitUncheckedError();
        if (is_directory) {
            count_tree(env, inner, files);
            continue;
        }
        std::uint64_t bytes = 0;
        env.GetFileSize(inner, &bytes).PermitUncheckedError();
        add(files, bytes);
    }
}

}  // namespace

StoreCensus take_census(StoreReader& reader, std::size_t largest_queues_max) {
    StoreCensus census;
    Counter counter{census};
    reader.for_each(
        "", [&](std::string_view key, std::string_view value) { counter.on_record(key, value); });
    counter.finish(largest_queues_max);
    count_files(reader, census);
    count_tree(reader.env(), reader.directory() + "/quarantine", census.quarantine);
    return census;
}

}  // namespace spoke::broker
