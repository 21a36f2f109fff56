#include "bridge/api/static_files.hpp"

#include <algorithm>

#include "bridge/api/parameters.hpp"
#include "bridge/api/problem.hpp"

namespace spoke::bridge {
namespace {

/// 'self' in connect-src covers WebSockets of the same host and port (CSP 3, 6.7.2.8).
constexpr std::string_view kContentSecurityPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

}  // namespace

HttpResponse static_response(std::span<StaticFile const> files, std::string_view path,
                             HttpRequest const& request) {
    auto wanted = path.empty() ? std::string_view{"index.html"} : path;
    auto file = std::ranges::find(files, wanted, &StaticFile::path);
    if (file == files.end()) return to_response(Problem{ProblemKind::no_such_path});
    HttpResponse response;
    response.content_type = file->content_type;
    response.headers.emplace_back("ETag", file->etag);
    response.headers.emplace_back("Cache-Control", "no-cache");
    response.headers.emplace_back("X-Content-Type-Options", "nosniff");
    response.headers.emplace_back("Content-Security-Policy", kContentSecurityPolicy);
    response.headers.emplace_back("Referrer-Policy", "no-referrer");
    if (names_etag(request.header("If-None-Match"), file->etag)) {
        response.status = 304;
    } else {
        response.body = file->body;
    }
    return response;
}

}  // namespace spoke::bridge
