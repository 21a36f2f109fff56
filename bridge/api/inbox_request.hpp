#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bridge/api/problem.hpp"
#include "bridge/inbox/inboxes.hpp"

namespace spoke::bridge {

/// Messages of one request, at most.
inline constexpr std::size_t kInboxBatchMax = 1'000;

/// The body of `POST /v1/inboxes/{who}/messages`: one message, or an array of them.
/// Out     the error, or nullopt with `out` filled.
[[nodiscard]] std::optional<RequestError> parse_inbox_messages(std::string_view body,
                                                               std::vector<InboxMessage>& out);

/// The body of `POST /v1/inboxes/{who}/read`: {"upto":"k7.88"}.
[[nodiscard]] std::optional<RequestError> parse_read_upto(std::string_view body, std::string& out);

}  // namespace spoke::bridge
