#include "broker/storage/log_scan.hpp"

#include <rocksdb/env.h>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <optional>
#include <utility>

#include "broker/storage/crc32c.hpp"
#include "broker/storage/little_endian.hpp"

namespace spoke::broker {
namespace {

constexpr std::size_t kBlockSize = 32'768;
constexpr std::size_t kHeaderSize = 7;             // checksum 4, length 2, type 1
constexpr std::size_t kRecyclableHeaderSize = 11;  // and the number of the log, 4
constexpr std::uint8_t kFirstRecyclableType = 5;
constexpr std::uint8_t kLastType = 8;

enum class Part : std::uint8_t { full = 1, first = 2, middle = 3, last = 4 };

struct Fragment {
    Part part{};
    std::size_t size = 0;  // with header
    std::string_view payload{};
};

/// The fragment at the beginning of `bytes`, which end where its block ends.
std::optional<Fragment> fragment_at(std::string_view bytes, std::uint64_t log_number) {
    if (bytes.size() < kHeaderSize) return std::nullopt;
    auto const type = static_cast<std::uint8_t>(bytes[6]);
    if (type == 0 || type > kLastType) return std::nullopt;
    auto const is_recyclable = type >= kFirstRecyclableType;
    auto const header_size = is_recyclable ? kRecyclableHeaderSize : kHeaderSize;
    auto const size = header_size + little_endian<std::uint16_t>(bytes.substr(4));
    if (size > bytes.size()) return std::nullopt;
    if (masked_crc32c(crc32c(bytes.substr(6, size - 6))) != little_endian<std::uint32_t>(bytes))
        return std::nullopt;
    if (is_recyclable &&
        little_endian<std::uint32_t>(bytes.substr(7)) != static_cast<std::uint32_t>(log_number))
        return std::nullopt;
    auto const part = static_cast<Part>(is_recyclable ? type - 4 : type);
    return Fragment{part, size, bytes.substr(header_size, size - header_size)};
}

class Scan {
public:
    Scan(LogForm const& form, std::function<void(LogPiece const&)> const& visit)
        : form_(form), visit_(visit) {}

    void on_block(std::string_view block, std::uint64_t offset) {
        std::size_t at = 0;
        while (block.size() - at >= kHeaderSize) {
            auto const rest = block.substr(at);
            if (auto fragment = fragment_at(rest, form_.number)) {
                on_fragment(*fragment, offset + at);
                at += fragment->size;
            } else {
                auto const skipped = resync(rest);
                on_damage(rest.substr(0, skipped), offset + at);
                at += skipped;
            }
        }
        // A writer leaves some bytes where no header fits any more; what ends here is a torn
        // header.
        if (at < block.size() && block.size() < kBlockSize)
            on_damage(block.substr(at), offset + at);
    }

    void on_end() {
        if (is_in_record_) spoil_record();
        if (is_damage_all_zero_) damaged_offset_ = damaged_end_;  // space that was not used yet
        report_damage();
    }

private:
    void on_fragment(Fragment const& fragment, std::uint64_t offset) {
        auto const end = offset + fragment.size;
        auto const begins = fragment.part == Part::full || fragment.part == Part::first;
        if (begins) {
            if (is_in_record_) spoil_record();
            record_ = fragment.payload;
            record_offset_ = offset;
            is_in_record_ = true;
        } else if (!is_in_record_) {
            return damage(offset, end);
        } else {
            record_ += fragment.payload;
        }
        record_end_ = end;
        if (fragment.part == Part::full || fragment.part == Part::last) finish_record();
    }

    void finish_record() {
        is_in_record_ = false;
        report_damage();
        visit_({LogPiece::Kind::record, record_offset_, record_end_, record_});
    }

    /// The fragments so far belong to a record whose rest is not there.
    void spoil_record() {
        is_in_record_ = false;
        damage(record_offset_, record_end_);
    }

    void on_damage(std::string_view bytes, std::uint64_t offset) {
        if (is_in_record_) spoil_record();
        auto const is_all_zero = bytes.find_first_not_of('\0') == std::string_view::npos;
        damage(offset, offset + bytes.size(), is_all_zero);
    }

    void damage(std::uint64_t offset, std::uint64_t end, bool is_all_zero = false) {
        if (damaged_offset_ == damaged_end_) {
            damaged_offset_ = offset;
            is_damage_all_zero_ = true;
        }
        damaged_end_ = std::max(damaged_end_, end);
        is_damage_all_zero_ = is_damage_all_zero_ && is_all_zero;
    }

    void report_damage() {
        if (damaged_offset_ == damaged_end_) return;
        visit_({LogPiece::Kind::damaged, damaged_offset_, damaged_end_, {}});
        damaged_offset_ = damaged_end_ = 0;
        is_damage_all_zero_ = false;
    }

    /// How many bytes at the beginning of `bytes` are lost.
    [[nodiscard]] std::size_t resync(std::string_view bytes) const {
        // The length may be right and something else wrong.
        auto const header_size = static_cast<std::uint8_t>(bytes[6]) >= kFirstRecyclableType
                                     ? kRecyclableHeaderSize
                                     : kHeaderSize;
        auto const told = header_size + little_endian<std::uint16_t>(bytes.substr(4));
        if (told <= bytes.size() && fragment_at(bytes.substr(told), form_.number)) return told;
        for (std::size_t at = 1; at + kHeaderSize <= bytes.size(); ++at) {
            auto fragment = fragment_at(bytes.substr(at), form_.number);
            if (fragment && can_be(*fragment)) return at;
        }
        return bytes.size();
    }

    [[nodiscard]] bool can_be(Fragment const& fragment) const {
        auto const begins = fragment.part == Part::full || fragment.part == Part::first;
        return !begins || !form_.is_plausible || form_.is_plausible(fragment.payload);
    }

    LogForm const& form_;
    std::function<void(LogPiece const&)> const& visit_;
    std::string record_{};
    std::uint64_t record_offset_ = 0;
    std::uint64_t record_end_ = 0;
    bool is_in_record_ = false;
    std::uint64_t damaged_offset_ = 0;  // nothing is damaged where it equals the end
    std::uint64_t damaged_end_ = 0;
    bool is_damage_all_zero_ = false;
};

}  // namespace

rocksdb::Status scan_log(rocksdb::Env& env, std::string const& path, LogForm const& form,
                         std::function<void(LogPiece const&)> const& visit) {
    std::unique_ptr<rocksdb::SequentialFile> file;
    auto status = env.NewSequentialFile(path, &file, rocksdb::EnvOptions{});
    if (!status.ok()) return status;
    Scan scan{form, visit};
    std::string block(kBlockSize, '\0');
    for (std::uint64_t offset = 0;; offset += kBlockSize) {
        std::size_t filled = 0;
        while (filled < kBlockSize) {
            rocksdb::Slice got;
            status = file->Read(kBlockSize - filled, &got, block.data() + filled);
            if (!status.ok()) return status;
            if (got.empty()) break;
            if (got.data() != block.data() + filled)
                std::copy_n(got.data(), got.size(), block.data() + filled);
            filled += got.size();
        }
        if (filled > 0) scan.on_block(std::string_view{block}.substr(0, filled), offset);
        if (filled < kBlockSize) break;
    }
    scan.on_end();
    return rocksdb::Status::OK();
}

void append_log_record(std::string& file, std::string_view payload) {
    for (bool is_first = true;; is_first = false) {
        auto left = kBlockSize - file.size() % kBlockSize;
        if (left < kHeaderSize) {
            file.append(left, '\0');
            left = kBlockSize;
        }
        auto const size = std::min(payload.size(), left - kHeaderSize);
        auto const is_last = size == payload.size();
        auto const part =
            is_first ? (is_last ? Part::full : Part::first) : (is_last ? Part::last : Part::middle);
        std::string body(1, static_cast<char>(part));
        body += payload.substr(0, size);
        append_little_endian(file, masked_crc32c(crc32c(body)));
        append_little_endian(file, static_cast<std::uint16_t>(size));
        file += body;
        if (is_last) return;
        payload.remove_prefix(size);
    }
}

}  // namespace spoke::broker
