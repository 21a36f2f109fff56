#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace spoke::bridge {

/// Every kind of problem that the API can answer with.
enum class ProblemKind : std::uint8_t {
    invalid,
    key_required,
    unauthorized,
    scope,
    origin,
    denied,
    no_such_path,
    no_such_device,
    no_such_command,
    no_such_hook,
    no_such_delivery,
    method,
    device_offline,
    nobody_listens,
    cursor,
    lane_busy,
    too_late,
    precondition,
    record_changed,
    too_large,
    media_type,
    key_reused,
    rate,
    header_too_large,
    internal,
    publish_refused,
    broker_down,
    draining,
    log_full,
    not_ready,
    too_many_connections,
    too_many_readers,
};

/// What is the same in every problem of a kind, and its page at /problems/<name>.
struct ProblemType {
    ProblemKind kind;
    std::string_view name;  // the last part of the type's URI
    unsigned status;        // as a rule; publish-refused has several
    std::string_view title;
    std::string_view meaning;  // sentences for people
    std::string_view remedy;   // what to do
};

[[nodiscard]] ProblemType const& type_of(ProblemKind kind) noexcept;

/// All of them.
[[nodiscard]] std::span<ProblemType const> problem_types() noexcept;

}  // namespace spoke::bridge
