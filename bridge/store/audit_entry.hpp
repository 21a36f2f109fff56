#pragma once

#include <cstdint>
#include <string>

#include "protocol/base/time.hpp"

namespace spoke::bridge {

/// What the audit trail says of one event. The store numbers and chains the entries.
struct AuditEntry {
    WallTime at{};
    std::string who;        // "user:7777", "device", "broker", "bridge"
    std::string address{};  // the caller's, if a request brought this about
    std::string what;       // "command.queued", "device.updated", "publish"
    std::string device{};   // whom it concerns; empty: none
    std::string subject{};  // a command's id, a topic
    std::string why{};      // of the state, or what the caller gave as `ref`
    std::string trace{};    // traceparent
    std::string detail{};   // a JSON object as text; empty: none
    friend bool operator==(AuditEntry const&, AuditEntry const&) = default;
};

/// An entry as it stands in the trail.
struct AuditLine {
    std::uint64_t number = 0;  // from 1, without gaps
    AuditEntry entry;
    std::string hash{};  // hex; covers this entry and the hash of the one before it
};

/// Which lines of the trail.
struct AuditQuery {
    std::uint64_t after = 0;  // line number; 0: from the first that is kept
    std::string device{};     // empty: any
    std::string who{};        // empty: any
    WallTime since{};         // lines of this moment and later
    std::size_t limit = 100;
};

}  // namespace spoke::bridge
