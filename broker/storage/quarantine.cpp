#include "broker/storage/quarantine.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <rocksdb/env.h>

#include <chrono>
#include <memory>
#include <utility>

#include "broker/storage/files.hpp"

namespace spoke::broker {
namespace {

/// Above it records are counted, no longer kept: a store that is damaged all over is kept as files.
constexpr std::uint64_t kLinesMax = 100'000;
/// Above it they are not told one by one in the log either.
constexpr std::uint64_t kLinesLoggedMax = 10;

std::string hex(std::string_view bytes) {
    std::string text;
    text.reserve(bytes.size() * 2);
    for (char byte : bytes)
        fmt::format_to(std::back_inserter(text), "{:02x}", static_cast<unsigned char>(byte));
    return text;
}

std::string utc_now() {
    auto const now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
    return fmt::format("{:%Y%m%dT%H%M%SZ}", fmt::gmtime(now));
}

}  // namespace

Quarantine::Quarantine(rocksdb::Env& env, std::string const& directory, StoreLog log)
    : env_(env), directory_(directory + "/quarantine"), log_(std::move(log)) {}

Quarantine::~Quarantine() {
    if (records_file_) records_file_->Close().PermitUncheckedError();
}

rocksdb::Status Quarantine::make_directory() {
    return env_.CreateDirIfMissing(directory_);
}

std::string Quarantine::new_path(std::string_view name) {
    auto const now = utc_now();
    for (int n = 1;; ++n) {
        auto path = fmt::format("{}/{}-{}-{}", directory_, now, n, name);
        if (!exists(env_, path)) return path;
    }
}

void Quarantine::failed(std::string_view what, rocksdb::Status const& status) {
    log_(LogLevel::error, fmt::format("store: {} cannot be put into quarantine in {}: {}", what,
                                      directory_, status.ToString()));
}

void Quarantine::keep_record(std::string_view key, std::string_view value, std::string_view why) {
    ++records_;
    if (++lines_ > kLinesMax) return;
    rocksdb::Status status;
    if (!records_file_) {
        status = make_directory();
        records_path_ = new_path("records.txt");
        if (status.ok())
            status = env_.NewWritableFile(records_path_, &records_file_, rocksdb::EnvOptions{});
    }
    if (status.ok())
        status =
            records_file_->Append(fmt::format("key={} value={} {}\n", hex(key), hex(value), why));
    if (status.ok()) status = records_file_->Flush();
    if (!status.ok()) return failed("a damaged record", status);
    if (lines_ <= kLinesLoggedMax)
        log_(LogLevel::warning,
             fmt::format("store: the record with key {} is damaged ({}); it is kept in {}",
                         hex(key.substr(0, 64)), why, records_path_));
}

void Quarantine::keep_copy(std::string const& path, std::string_view why) {
    auto const target = new_path(path.substr(path.rfind('/') + 1));
    std::string bytes;
    auto status = make_directory();
    if (status.ok()) status = read_file(env_, path, bytes);
    if (status.ok()) status = write_file(env_, target, bytes);
    if (!status.ok()) return failed(path, status);
    log_(LogLevel::warning, fmt::format("store: {}: {}; a copy is kept as {}", path, why, target));
}

std::string Quarantine::move_here(std::string const& path, std::string_view why) {
    auto const target = new_path(path.substr(path.rfind('/') + 1));
    auto status = make_directory();
    if (status.ok()) status = env_.RenameFile(path, target);
    if (status.ok()) status = sync_directory(env_, directory_);
    if (!status.ok()) {
        failed(path, status);
        return {};
    }
    log_(LogLevel::warning, fmt::format("store: {}: {}; it is kept as {}", path, why, target));
    return target;
}

}  // namespace spoke::broker
