#include "broker/storage/table_scan.hpp"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "broker/storage/crc32c.hpp"
#include "broker/storage/little_endian.hpp"

namespace spoke::broker {
namespace {

using Visit = std::function<void(TableEntry const&)>;

constexpr std::size_t kTrailerSize = 5;  // of a block: how it is compressed 1, checksum 4
constexpr std::uint64_t kMagic = 0x88E241B785F4CFF7;
constexpr char kCrc32cType = 1;
constexpr std::uint32_t kTableFormat = 5;
constexpr std::size_t kInternalSize = 8;  // behind a key: what kind of entry 1, sequence 7
constexpr std::uint32_t kRestartCountMask = 0x7FFFFFFF;

enum class EntryType : std::uint8_t { removal = 0, value = 1, single_removal = 7 };

struct Handle {
    std::uint64_t offset = 0;
    std::uint64_t size = 0;  // without trailer
};

/// The parts of an entry as they stand in a block.
struct RawEntry {
    std::size_t shared = 0;  // bytes of the key which are those of the key before
    std::string_view key_rest{};
    std::string_view value{};
    std::size_t size = 0;
};

std::optional<RawEntry> raw_entry_at(std::string_view bytes) {
    auto rest = bytes;
    auto const shared = take_varint(rest);
    auto const key_size = shared ? take_varint(rest) : std::nullopt;
    auto const value_size = key_size ? take_varint(rest) : std::nullopt;
    if (!value_size || *key_size > rest.size() || *value_size > rest.size() - *key_size)
        return std::nullopt;
    RawEntry entry{*shared, rest.substr(0, *key_size), rest.substr(*key_size, *value_size), 0};
    entry.size = static_cast<std::size_t>(entry.value.data() + entry.value.size() - bytes.data());
    return entry;
}

/// Puts together the keys of a block's entries.
class EntryReader {
public:
    /// None if it is not an entry of this store.
    std::optional<TableEntry> next(RawEntry const& raw) {
        if (raw.shared > key_.size() || raw.shared + raw.key_rest.size() <= kInternalSize)
            return std::nullopt;
        key_.resize(raw.shared);
        key_ += raw.key_rest;
        auto const internal = little_endian<std::uint64_t>(
            std::string_view{key_}.substr(key_.size() - kInternalSize));
        auto const type = static_cast<EntryType>(internal & 0xFF);
        auto const is_removal = type == EntryType::removal || type == EntryType::single_removal;
        if (!is_removal && type != EntryType::value) return std::nullopt;
        TableEntry entry;
        entry.key = std::string_view{key_}.substr(0, key_.size() - kInternalSize);
        entry.value = raw.value;
        entry.sequence = internal >> 8;
        entry.is_removal = is_removal;
        return entry;
    }

private:
    std::string key_{};
};

/// The places in a block at which an entry has its whole key, and where they are told.
struct Restarts {
    std::vector<std::uint32_t> offsets{};
    std::size_t begin = 0;  // entries end here
};

/// None if the end of the block makes no sense.
std::optional<Restarts> restarts_of(std::string_view block) {
    if (block.size() < 4) return std::nullopt;
    auto const count =
        little_endian<std::uint32_t>(block.substr(block.size() - 4)) & kRestartCountMask;
    if (count == 0 || (block.size() - 4) / 4 < count) return std::nullopt;
    Restarts restarts;
    restarts.begin = block.size() - 4 - std::size_t{4} * count;
    for (std::uint32_t i = 0; i < count; ++i) {
        auto const offset =
            little_endian<std::uint32_t>(block.substr(restarts.begin + std::size_t{4} * i));
        auto const is_behind = i == 0 ? offset == 0 : offset > restarts.offsets.back();
        if (!is_behind || offset >= restarts.begin) return std::nullopt;
        restarts.offsets.push_back(offset);
    }
    return restarts;
}

/// The bytes of a block without trailer if the file is so long; whether its checksum is right.
struct Block {
    std::string_view bytes{};
    bool is_right = false;
};

std::optional<Block> block_at(std::string_view file, Handle handle) {
    if (handle.offset > file.size() || handle.size > file.size() - handle.offset ||
        file.size() - handle.offset - handle.size < kTrailerSize)
        return std::nullopt;
    auto const with_type = file.substr(handle.offset, handle.size + 1);
    auto const told = little_endian<std::uint32_t>(file.substr(handle.offset + handle.size + 1));
    auto const is_right = with_type.back() == '\0' && masked_crc32c(crc32c(with_type)) == told;
    return Block{with_type.substr(0, handle.size), is_right};
}

/// Visits the entries as far as they make sense. False: something is left.
bool visit_run(std::string_view entries, bool is_proven, Visit const& visit) {
    EntryReader reader;
    while (auto const raw = raw_entry_at(entries)) {
        auto entry = reader.next(*raw);
        if (!entry) return false;
        entry->is_proven = is_proven;
        visit(*entry);
        entries.remove_prefix(raw->size);
    }
    return entries.empty();
}

/// Gives in how many pieces something could not be read.
std::uint64_t visit_block(Block const& block, Visit const& visit) {
    auto const restarts = restarts_of(block.bytes);
    // If it is the restarts that are damaged, the entries are not, and end where these begin.
    if (!restarts) {
        visit_run(block.bytes, block.is_right, visit);
        return 1;
    }
    std::uint64_t pieces = 0;
    // Each run by itself, so that a damaged length does not reach into the next.
    for (std::size_t i = 0; i < restarts->offsets.size(); ++i) {
        auto const begin = restarts->offsets[i];
        auto const end =
            i + 1 < restarts->offsets.size() ? restarts->offsets[i + 1] : restarts->begin;
        if (!visit_run(block.bytes.substr(begin, end - begin), block.is_right, visit)) ++pieces;
    }
    return pieces;
}

std::optional<Handle> take_handle(std::string_view& bytes) {
    auto const offset = take_varint(bytes);
    auto const size = offset ? take_varint(bytes) : std::nullopt;
    if (!size) return std::nullopt;
    return Handle{*offset, *size};
}

/// Where the index is, if the footer makes sense: kind of checksum 1 · handles of the blocks about
/// blocks and of the index, 40 together · version of the form 4 · magic number 8.
std::optional<Handle> index_handle(std::string_view footer, std::uint64_t file_size) {
    if (footer.size() != kTableFooterSize || footer[0] != kCrc32cType ||
        little_endian<std::uint32_t>(footer.substr(41)) != kTableFormat ||
        little_endian<std::uint64_t>(footer.substr(45)) != kMagic)
        return std::nullopt;
    auto handles = footer.substr(1, 40);
    auto const meta = take_handle(handles);
    auto const index = meta ? take_handle(handles) : std::nullopt;
    auto const is_inside = [&](Handle const& handle) {
        return handle.offset <= file_size && handle.size <= file_size - handle.offset;
    };
    if (!index || !is_inside(*meta) || !is_inside(*index)) return std::nullopt;
    return index;
}

/// The blocks of entries, as the index of the file tells them.
std::optional<std::vector<Handle>> indexed_blocks(std::string_view file) {
    if (file.size() < kTableFooterSize) return std::nullopt;
    auto const index = index_handle(file.substr(file.size() - kTableFooterSize), file.size());
    auto const block = index ? block_at(file, *index) : std::nullopt;
    auto const restarts = block && block->is_right ? restarts_of(block->bytes) : std::nullopt;
    if (!restarts) return std::nullopt;
    std::vector<Handle> handles;
    auto rest = block->bytes.substr(0, restarts->begin);
    while (!rest.empty()) {
        auto const shared = take_varint(rest);
        auto const key_size = shared ? take_varint(rest) : std::nullopt;
        if (!key_size || *shared != 0 || *key_size > rest.size()) return std::nullopt;
        rest.remove_prefix(*key_size);
        auto const handle = take_handle(rest);
        if (!handle) return std::nullopt;
        handles.push_back(*handle);
    }
    return handles;
}

/// How long the block at the beginning of `bytes` is: behind its entries stand the places of some
/// of them, the first being 0, and how many these are.
std::optional<std::size_t> block_size(std::string_view bytes) {
    std::vector<std::uint32_t> starts;
    std::size_t at = 0;
    for (;;) {
        auto const raw = raw_entry_at(bytes.substr(at));
        if (!raw || raw->key_rest.empty()) break;
        starts.push_back(static_cast<std::uint32_t>(at));
        at += raw->size;
    }
    std::uint32_t count = 0;
    for (auto start = starts.begin(); bytes.size() - at >= 4; at += 4) {
        auto const number = little_endian<std::uint32_t>(bytes.substr(at));
        if (count > 0 && (number & kRestartCountMask) == count) return at + 4;
        start = std::find(start, starts.end(), number);
        if (start == starts.end()) return std::nullopt;
        ++start;
        ++count;
    }
    return std::nullopt;
}

}  // namespace

bool is_table_footer(std::string_view footer, std::uint64_t file_size) {
    return index_handle(footer, file_size).has_value();
}

TableDamage scan_table(std::string_view file, Visit const& visit) {
    TableDamage damage;
    if (auto const handles = indexed_blocks(file)) {
        for (auto const& handle : *handles) {
            auto const block = block_at(file, handle);
            if (!block || !block->is_right) ++damage.blocks;
            damage.pieces += block ? visit_block(*block, visit) : 1;
        }
        return damage;
    }
    damage.has_no_index = true;
    for (std::size_t at = 0; at < file.size();) {
        auto const size = block_size(file.substr(at));
        auto const block = size ? block_at(file, {at, *size}) : std::nullopt;
        if (!block) {
            // The last one may be cut; behind all of them stands what holds no records.
            visit_run(file.substr(at), false, visit);
            ++damage.pieces;
            break;
        }
        if (!block->is_right) ++damage.blocks;
        // The last ones hold no records, and are no entries in this sense.
        auto const pieces = visit_block(*block, visit);
        if (!block->is_right) damage.pieces += pieces;
        at += *size + kTrailerSize;
    }
    return damage;
}

}  // namespace spoke::broker
