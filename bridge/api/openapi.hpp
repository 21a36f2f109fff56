#pragma once

#include <string_view>

namespace spoke::bridge {

/// The OpenAPI 3.1 document of the API: bridge/api/openapi.json as it was at build time.
[[nodiscard]] std::string_view openapi_document() noexcept;

/// The AsyncAPI 3 document of the WebSocket and the MQTT topics: bridge/api/asyncapi.json.
[[nodiscard]] std::string_view asyncapi_document() noexcept;

}  // namespace spoke::bridge
