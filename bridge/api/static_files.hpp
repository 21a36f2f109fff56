#pragma once

#include <span>
#include <string_view>

#include "bridge/api/http_message.hpp"

namespace spoke::bridge {

/// A file as it was at build time; embed.cmake writes the tables of them.
struct StaticFile {
    std::string_view path;  // below its folder: "red-dot.html"
    std::string_view content_type;
    std::string_view etag;  // with its quotes
    std::string_view body;
};

/// bridge/examples/.
[[nodiscard]] std::span<StaticFile const> example_files() noexcept;

/// Answers a GET of `path`, "" being "index.html": only a name in the table is found, so that a
/// path cannot lead anywhere else. Pages may load nothing but files and API of this server.
/// Out     200; 304 if If-None-Match names the file as it is; a problem, 404, without such a file.
[[nodiscard]] HttpResponse static_response(std::span<StaticFile const> files, std::string_view path,
                                           HttpRequest const& request);

}  // namespace spoke::bridge
