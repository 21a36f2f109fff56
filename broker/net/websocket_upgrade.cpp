#include "broker/net/websocket_upgrade.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/rfc7230.hpp>
#include <iterator>

#include "protocol/base/assert.hpp"

namespace spoke::broker {

namespace {

namespace http = boost::beast::http;
using Request = http::request_parser<http::empty_body>;

constexpr std::string_view kHeadEnd = "\r\n\r\n";

std::string_view view_of(boost::beast::string_view text) noexcept {
    return {text.data(), text.size()};
}

std::string_view title_of(unsigned status) {
    return view_of(http::obsolete_reason(static_cast<http::status>(status)));
}

UpgradeAnswer refusal(unsigned status, std::string problem, std::string_view headers = {}) {
    UpgradeAnswer answer{status, {}, std::move(problem)};
    answer.reply = fmt::format(
        "HTTP/1.1 {} {}\r\n{}Content-Type: text/plain\r\nContent-Length: {}\r\n"
        "Connection: close\r\n\r\n{}\n",
        status, title_of(status), headers, answer.problem.size() + 1, answer.problem);
    return answer;
}

/// Whether one of the values of header `name`, each a list, holds `token`.
bool has_token(http::fields const& fields, http::field name, std::string_view token) {
    auto [first, last] = fields.equal_range(name);
    return std::any_of(first, last, [token](auto const& field) {
        return http::token_list{field.value()}.exists({token.data(), token.size()});
    });
}

/// The value of a header that must stand there once.
std::optional<std::string_view> only_value(http::fields const& fields, http::field name) {
    if (fields.count(name) != 1) return std::nullopt;
    return view_of(fields[name]);
}

/// 16 bytes in base64.
bool is_key(std::string_view text) noexcept {
    auto is_digit = [](char c) {
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
               c == '+' || c == '/';
    };
    return text.size() == 24 && text.ends_with("==") &&
           std::ranges::all_of(text.substr(0, 22), is_digit);
}

/// RFC 6455, 4.2.2, 5.4.
std::string accept_of(std::string_view key) {
    constexpr std::string_view kGuid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    constexpr std::size_t kSha1Size = 20;
    constexpr std::size_t kTextSize = (kSha1Size + 2) / 3 * 4;
    auto text = fmt::format("{}{}", key, kGuid);
    std::array<unsigned char, kSha1Size> digest{};
    MQ_ASSERT(EVP_Digest(text.data(), text.size(), digest.data(), nullptr, EVP_sha1(), nullptr) ==
              1);
    std::array<unsigned char, kTextSize + 1> encoded{};
    EVP_EncodeBlock(encoded.data(), digest.data(), kSha1Size);
    return {encoded.begin(), encoded.begin() + kTextSize};
}

/// The path of a request target, which may have a scheme and host in front (RFC 9112, 3.2.2).
std::string_view path_of(std::string_view target) noexcept {
    if (!target.starts_with('/')) {
        auto authority = target.find("://");
        if (authority == std::string_view::npos) return {};
        auto slash = target.find('/', authority + 3);
        target = slash == std::string_view::npos ? "/" : target.substr(slash);
    }
    return target.substr(0, target.find('?'));
}

/// The subprotocol to answer with; none of the offered ones will do if it is empty.
std::string_view chosen_subprotocol(http::fields const& fields) {
    for (std::string_view known : {"mqtt", "mqttv3.1"}) {
        auto [first, last] = fields.equal_range(http::field::sec_websocket_protocol);
        bool offered = std::any_of(first, last, [known](auto const& field) {
            http::token_list tokens{field.value()};
            return std::any_of(tokens.begin(), tokens.end(),
                               [known](auto const& token) { return view_of(token) == known; });
        });
        if (offered) return known;
    }
    return {};
}

/// Whether the page that opens the connection is a welcome one. Only browsers say which it is, and
/// only they need to be held back: who is not a browser can say what it likes.
bool is_welcome(http::fields const& fields, std::vector<std::string> const& origins) {
    if (origins.empty() || fields.count(http::field::origin) == 0) return true;
    auto origin = only_value(fields, http::field::origin);
    return origin && std::ranges::any_of(origins, [&](std::string const& welcome) {
               return boost::beast::iequals({welcome.data(), welcome.size()},
                                            {origin->data(), origin->size()});
           });
}

/// What HTTP itself has to say about the request.
std::optional<UpgradeAnswer> check_request(Request const& parser,
                                           WebSocketSettings const& settings) {
    auto const& request = parser.get();
    if (request.method() != http::verb::get)
        return refusal(405, "the method must be GET", "Allow: GET\r\n");
    if (request.version() < 11) return refusal(400, "HTTP must be of version 1.1");
    auto count = std::distance(request.begin(), request.end());
    if (count > std::ptrdiff_t{settings.headers_max})
        return refusal(431, fmt::format("more than {} headers", settings.headers_max));
    if (parser.chunked() || parser.content_length().value_or(0) > 0)
        return refusal(400, "the request must have no body");
    if (request.count(http::field::host) != 1) return refusal(400, "there must be one Host header");
    if (path_of(view_of(request.target())) != settings.path)
        return refusal(404, "there is nothing at this path");
    return std::nullopt;
}

/// RFC 6455, 4.2.1.
std::optional<UpgradeAnswer> check_handshake(http::fields const& fields,
                                             WebSocketSettings const& settings) {
    if (!has_token(fields, http::field::upgrade, "websocket") ||
        !has_token(fields, http::field::connection, "upgrade"))
        return refusal(400, "this address speaks WebSocket only: ask for an upgrade");
    auto version = only_value(fields, http::field::sec_websocket_version);
    if (version != "13")
        return refusal(426, "the WebSocket version must be 13",
                       "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n");
    if (!is_key(only_value(fields, http::field::sec_websocket_key).value_or("")))
        return refusal(400, "Sec-WebSocket-Key must be 16 bytes in base64");
    if (!is_welcome(fields, settings.origins))
        return refusal(403, "pages of this origin may not connect");
    return std::nullopt;
}

}  // namespace

UpgradeAnswer answer_upgrade(std::string_view head, WebSocketSettings const& settings) {
    Request parser;
    parser.header_limit(settings.request_size_max);
    boost::system::error_code error;
    parser.put(boost::asio::buffer(head.data(), head.size()), error);
    if (error == http::error::header_limit)
        return refusal(431, fmt::format("more than {} bytes", settings.request_size_max));
    if (error || !parser.is_header_done())
        return refusal(400, "this is not a request of HTTP: " + error.message());
    auto const& fields = parser.get().base();
    if (auto wrong = check_request(parser, settings)) return *std::move(wrong);
    if (auto wrong = check_handshake(fields, settings)) return *std::move(wrong);
    auto subprotocol = chosen_subprotocol(fields);
    if (subprotocol.empty())
        return refusal(400, "Sec-WebSocket-Protocol must offer mqtt");  // [MQTT-6.0.0-3]
    UpgradeAnswer answer;
    answer.reply = fmt::format(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Accept: {}\r\nSec-WebSocket-Protocol: {}\r\n\r\n",
        accept_of(view_of(fields[http::field::sec_websocket_key])), subprotocol);
    return answer;
}

UpgradeReader::Step UpgradeReader::read(Bytes bytes, WebSocketSettings const& settings) {
    std::size_t held = head_.size();
    auto room = settings.request_size_max - held;  // never less than 1
    auto taken = bytes.first(std::min<std::size_t>(room, bytes.size()));
    head_.insert(head_.end(), taken.begin(), taken.end());
    auto text = as_text(head_);
    if (!text.empty() && (text[0] < 'A' || text[0] > 'Z'))
        return {taken.size(), refusal(400, "this is not a request of HTTP")};
    // The end may have begun in what was there before.
    auto end = text.find(kHeadEnd, held < kHeadEnd.size() ? 0 : held - kHeadEnd.size() + 1);
    if (end != std::string_view::npos) {
        auto size = end + kHeadEnd.size();
        return {size - held, answer_upgrade(text.substr(0, size), settings)};
    }
    if (head_.size() == settings.request_size_max)
        return {taken.size(),
                refusal(431, fmt::format("more than {} bytes", settings.request_size_max))};
    return {taken.size(), std::nullopt};
}

}  // namespace spoke::broker
