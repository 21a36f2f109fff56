#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace spoke::bridge {

/// A place in the event log, behind one of its events: "k7.1042". Opaque to those who get it.
/// The epoch is another one when the log began anew, so that places in an older log are known as
/// such.
struct Cursor {
    std::string epoch;         // [0-9a-z]{1,16}
    std::uint64_t offset = 0;  // of the event; 0: before the first

    friend bool operator==(Cursor const&, Cursor const&) = default;

    [[nodiscard]] std::string text() const;

    /// Errors  nullopt unless it has the form that text() gives.
    [[nodiscard]] static std::optional<Cursor> parse(std::string_view text);
};

}  // namespace spoke::bridge
