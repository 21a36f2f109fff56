#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "bridge/api/http_message.hpp"
#include "bridge/api/problem.hpp"

namespace spoke::bridge {

/// What a reader asks for over his WebSocket.
struct EventOperation {
    enum class Kind {
        subscribe,    // to `topic`, from `since` on
        unsubscribe,  // from `topic`
        request,      // what `request` does, by the same rules
    };

    Kind kind{};
    std::string topic{};
    std::string since{};  // a cursor or "oldest"; empty: from now on
    HttpRequest request{};
    std::string_view member{};  // of the answer, that holds the document; empty: its members do
};

/// A message of a reader, read.
struct EventOperationResult {
    std::string q{};  // the member "q" as JSON text; empty: there is none
    std::variant<EventOperation, RequestError> operation{RequestError{}};
};

/// An operation as its message has it.
struct EventOperationForm {
    std::string_view name;                      // "sub"
    std::span<std::string_view const> members;  // "op", "q", "topic", "since"
    bool has_more = false;                      // and those of the request's body
};
[[nodiscard]] std::vector<EventOperationForm> event_operation_forms();

/// Reads {"op":"sub","topic":"t/1/#","since":"k7.9","q":1}; "unsub", "publish", "command", "read".
[[nodiscard]] EventOperationResult parse_event_operation(std::string_view text);

/// {"q":1,"ok":true,...}, or {"q":1,"ok":false,"problem":{...}} of a problem.
/// In  `member` as in EventOperation
[[nodiscard]] std::string operation_answer(std::string_view q, std::string_view member,
                                           HttpResponse const& response);

}  // namespace spoke::bridge
