#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>

namespace spoke::broker {

/// One entry of a RocksDB table: a record, or that there is none any more.
struct TableEntry {
    std::string_view key{};    // until the visitor returns
    std::string_view value{};  // empty for a removal
    std::uint64_t sequence = 0;
    bool is_removal = false;
    /// Its block has the checksum that was written, so the entry is as it was written too.
    bool is_proven = false;
};

/// What of a table file cannot be read.
struct TableDamage {
    std::uint64_t blocks = 0;   // wrong checksum, or not where they should be
    std::uint64_t pieces = 0;   // of blocks, from which no entries could be read
    bool has_no_index = false;  // the blocks were found one behind the other
    [[nodiscard]] bool any() const noexcept { return blocks > 0 || has_no_index; }
};

/// How many bytes at the end of a table file say where its index is.
inline constexpr std::size_t kTableFooterSize = 53;

/// Whether the last kTableFooterSize bytes of a table file of that size make sense. No checksum is
/// over them, and RocksDB believes them: a damaged size makes it ask for that much memory.
[[nodiscard]] bool is_table_footer(std::string_view footer, std::uint64_t file_size);

/// Visits the entries of a table file in RocksDB's block-based form, as this store makes them: not
/// compressed, blocks with CRC-32C. Reads what can be read of a damaged one: without index the
/// blocks are found one behind the other, since each ends with the places of its entries; of a
/// block with a wrong checksum come the entries as far as lengths make sense, and those behind from
/// the next known place on, so their values are to be checked.
/// In  `file`: its bytes, whatever they are.
TableDamage scan_table(std::string_view file, std::function<void(TableEntry const&)> const& visit);

}  // namespace spoke::broker
