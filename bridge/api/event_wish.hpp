#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bridge/access/identity.hpp"
#include "bridge/api/http_message.hpp"
#include "bridge/api/parameters.hpp"
#include "bridge/api/problem.hpp"
#include "bridge/api/target.hpp"
#include "bridge/event/event_log.hpp"

namespace spoke::bridge {

/// What a request for events asks for.
struct EventsWish {
    enum class Form { poll, stream, web_socket };

    std::vector<std::string> filters{};
    std::string since{};  // a cursor or "oldest"; empty: from now on
    WaitWish wait{};
    std::size_t limit = 100;
    Form form = Form::poll;
};

/// Reads `GET /v1/events`: `topic` (several), `since` or the header Last-Event-ID, which counts
/// more, `wait`, `limit`; the form by Upgrade and Accept.
/// Out     the error, or nullopt with `out` filled.
[[nodiscard]] std::optional<RequestError> parse_events(HttpRequest const& request,
                                                       Target const& target,
                                                       std::size_t filters_max, EventsWish& out);

/// What is wrong with a filter as a reader gives it; empty: nothing.
[[nodiscard]] std::string_view filter_error(std::string_view filter) noexcept;

/// Why somebody may not read these topics; nullopt if he may.
[[nodiscard]] std::optional<Problem> check_reader(Identity const& who, std::string const& filter);

/// Where the state is that somebody reads who cannot go on from his cursor.
[[nodiscard]] std::string snapshot_of(std::string_view filter);

/// What is asked for cannot be read from the store now.
[[nodiscard]] Problem unreadable_log();

/// The problem of a cursor from which nobody can go on.
[[nodiscard]] Problem cursor_problem(CursorProblem reason, Cursor const& head,
                                     std::string_view filter);

}  // namespace spoke::bridge
