#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "bridge/api/http_message.hpp"
#include "bridge/command/command.hpp"
#include "bridge/command/device_registry.hpp"
#include "bridge/store/audit_entry.hpp"
#include "protocol/base/time.hpp"

namespace spoke::bridge {

/// "2026-11-22T19:00:08.000Z"
[[nodiscard]] std::string rfc3339(WallTime time);

/// The command document: the same wherever a command is shown.
[[nodiscard]] std::string command_document(Command const& command);

/// The device document, with the presence at `now`.
[[nodiscard]] std::string device_document(Device const& device, Presence presence);

[[nodiscard]] std::string audit_document(AuditLine const& line);

/// Documents as the request wants them: one per line, or as the member `name` of an object.
[[nodiscard]] HttpResponse list_response(HttpRequest const& request, std::string_view name,
                                         std::vector<std::string> const& documents);

}  // namespace spoke::bridge
