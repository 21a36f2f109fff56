#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "bridge/store/audit_chain.hpp"
#include "bridge/store/audit_entry.hpp"
#include "bridge/store/sqlite.hpp"

namespace spoke::bridge {

/// The audit trail in the file of a store, whether a bridge has it open or not. Nothing is changed.
/// It is read a few thousand lines at a time, so that the write-ahead log of a running bridge does
/// not have to wait for the end.
/// Errors  std::runtime_error, from everything.
class AuditFile {
public:
    /// Errors  also if there is no store of this version at `path`.
    explicit AuditFile(std::string const& path);

    struct Problem {
        std::uint64_t line = 0;
        std::string what{};
    };

    struct Verdict {
        std::uint64_t lines = 0;           // verified
        std::uint64_t first = 0;           // the number of the first of them
        AuditChain head{};                 // the last line
        bool knows_head = true;            // the hash that was asked for is one of the trail's
        std::optional<Problem> problem{};  // the first bad line
    };

    /// Computes all hashes again.
    /// In   `from`: begin with that line and trust those before it; 0: with the first that is kept.
    ///      `head`: a hash that was noted earlier, and that must be there.
    [[nodiscard]] Verdict verify(std::uint64_t from = 0,
                                 std::optional<AuditHash> const& head = std::nullopt);

    /// Which lines to show; what is empty says nothing.
    struct Filter {
        std::uint64_t after = 0;
        std::string device{};
        std::string who{};
        std::string subject{};
        std::string what{};  // the beginning of it: "command", "command.queued"
        std::optional<WallTime> since{};
        std::optional<WallTime> until{};  // and not later
    };

    /// In order, until `visit` gives false.
    void show(Filter const& filter, std::function<bool(AuditLine const&)> const& visit);

private:
    /// The next lines of the trail behind `after`, in one snapshot with the anchor.
    struct Page {
        AuditChain anchor{};
        std::vector<AuditLine> lines{};
        std::vector<std::int64_t> at_highs{};
    };
    [[nodiscard]] Page page_after(std::uint64_t after);
    [[nodiscard]] AuditChain chain_before(std::uint64_t line);

    SqliteConnection connection_;
};

}  // namespace spoke::bridge
