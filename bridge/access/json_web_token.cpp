#include "bridge/access/json_web_token.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <cmath>
#include <optional>
#include <utility>

#include "bridge/access/encoding.hpp"
#include "protocol/topic/utf8.hpp"

namespace spoke::bridge {
namespace {

namespace json = boost::json;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::size_t kDevicesMax = 1'000;

struct Parts {
    std::string_view header;
    std::string_view claims;
    std::string_view signature;
    std::string_view signed_text;
};

std::optional<Parts> split(std::string_view token) {
    auto first = token.find('.');
    auto second = first == std::string_view::npos ? first : token.find('.', first + 1);
    if (second == std::string_view::npos) return std::nullopt;
    Parts parts{token.substr(0, first), token.substr(first + 1, second - first - 1),
                token.substr(second + 1), token.substr(0, second)};
    if (parts.signature.find('.') != std::string_view::npos) return std::nullopt;
    return parts;
}

std::optional<json::object> decode(std::string_view part) {
    auto bytes = from_base64url(part);
    if (!bytes) return std::nullopt;
    json::error_code error;
    auto value = json::parse(*bytes, error);
    if (error.failed() || !value.is_object()) return std::nullopt;
    return std::move(value.get_object());
}

std::string_view text_of(json::value const* value) {
    auto const* text = value == nullptr ? nullptr : value->if_string();
    return text == nullptr ? std::string_view{} : std::string_view{*text};
}

bool is_signed(Parts const& parts, json::object const& header, std::string_view signature,
               std::span<VerificationKey const> keys) {
    auto algorithm = text_of(header.if_contains("alg"));
    auto id = text_of(header.if_contains("kid"));
    return std::ranges::any_of(keys, [&](auto const& key) {
        if (name_of(key.algorithm()) != algorithm) return false;
        if (!id.empty() && !key.id().empty() && key.id() != id) return false;
        return key.verifies(parts.signed_text, signature);
    });
}

/// A NumericDate (RFC 7519, 2). Out: false if it is there and none.
bool read_date(json::object const& claims, std::string_view name, std::optional<WallTime>& out) {
    constexpr double kMax = 253'402'300'799.0;  // the end of the year 9999
    auto const* value = claims.if_contains(name);
    if (value == nullptr) return true;
    if (!value->is_number()) return false;
    auto number = value->is_double() ? value->get_double() : value->to_number<double>();
    if (!std::isfinite(number) || number < 0 || number > kMax) return false;
    out = WallTime{milliseconds{static_cast<std::int64_t>(number * 1'000.0)}};
    return true;
}

bool names_audience(json::value const* value, std::string_view audience) {
    if (value == nullptr) return false;
    if (auto const* list = value->if_array()) {
        return std::ranges::any_of(*list, [&](auto const& v) { return text_of(&v) == audience; });
    }
    return text_of(value) == audience;
}

bool is_subject(std::string_view text) {
    auto is_fine = [](char c) { return static_cast<unsigned char>(c) >= 0x20 && c != 0x7F; };
    return !text.empty() && text.size() <= 128 && std::ranges::all_of(text, is_fine) &&
           mqtt::is_valid_utf8(text);
}

/// Scopes that are no business of the bridge's are passed over: issuers put many things there.
bool read_scope(json::value const* value, Scopes& out) {
    if (value == nullptr) return true;
    if (auto const* list = value->if_array()) {
        for (auto const& item : *list) {
            if (!item.is_string()) return false;
            static_cast<void>(add_scope(text_of(&item), out));
        }
        return true;
    }
    if (!value->is_string()) return false;
    auto rest = text_of(value);
    while (!rest.empty()) {
        auto space = rest.find(' ');
        static_cast<void>(add_scope(rest.substr(0, space), out));
        rest.remove_prefix(space == std::string_view::npos ? rest.size() : space + 1);
    }
    return true;
}

bool read_devices(json::value const* value, std::optional<std::vector<std::string>>& out) {
    if (value == nullptr) return true;
    auto const* list = value->if_array();
    if (list == nullptr || list->size() > kDevicesMax) return false;
    out.emplace();
    for (auto const& item : *list) {
        if (!item.is_string()) return false;
        out->emplace_back(text_of(&item));
    }
    std::ranges::sort(*out);
    return true;
}

std::variant<Token, AccessError> read_claims(json::object const& claims, TokenRules const& rules) {
    Token token;
    std::optional<WallTime> begins;
    std::optional<WallTime> ends;
    auto subject = text_of(claims.if_contains("sub"));
    if (!is_subject(subject) || !read_date(claims, "exp", ends) || !ends ||
        !read_date(claims, "nbf", begins) ||
        !read_scope(claims.if_contains("scope"), token.identity.scopes) ||
        !read_devices(claims.if_contains("dev"), token.identity.devices)) {
        return AccessError::bad_claims;
    }
    if (!rules.audience.empty() && !names_audience(claims.if_contains("aud"), rules.audience)) {
        return AccessError::wrong_audience;
    }
    if (!rules.issuer.empty() && text_of(claims.if_contains("iss")) != rules.issuer) {
        return AccessError::wrong_issuer;
    }
    token.identity.by = "user:" + std::string{subject};
    token.ends = *ends + rules.leeway;
    if (begins) token.begins = *begins - rules.leeway;
    return token;
}

}  // namespace

std::string_view describe(AccessError error) noexcept {
    switch (error) {
        case AccessError::none_given:
            return "send Authorization: Bearer with a token or an API key";
        case AccessError::malformed:
            return "this is neither a JSON Web Token nor an API key";
        case AccessError::bad_signature:
            return "no key of this bridge verifies the token";
        case AccessError::expired:
            return "the token or key is not valid any more";
        case AccessError::not_yet:
            return "the token is not valid yet";
        case AccessError::wrong_audience:
            return "the token is for another audience";
        case AccessError::wrong_issuer:
            return "the token is of another issuer";
        case AccessError::bad_claims:
            return "the token needs \"sub\" and \"exp\", and every claim in its right form";
        case AccessError::unknown_key:
            return "there is no such API key";
        case AccessError::unknown_token:
            return "the token of the query was used before, has ended, or never was";
    }
    return {};
}

std::variant<Token, AccessError> verify_token(std::string_view token,
                                              std::span<VerificationKey const> keys,
                                              TokenRules const& rules, WallTime now) {
    auto parts = split(token);
    if (!parts) return AccessError::malformed;
    auto header = decode(parts->header);
    auto signature = from_base64url(parts->signature);
    if (!header || !signature) return AccessError::malformed;
    // What "crit" names must be understood (RFC 7515, 4.1.11), and nothing of it is.
    if (header->contains("crit")) return AccessError::malformed;
    if (!is_signed(*parts, *header, *signature, keys)) return AccessError::bad_signature;
    auto claims = decode(parts->claims);
    if (!claims) return AccessError::bad_claims;
    auto result = read_claims(*claims, rules);
    if (auto const* read = std::get_if<Token>(&result)) {
        if (now >= read->ends) return AccessError::expired;
        if (now < read->begins) return AccessError::not_yet;
    }
    return result;
}

std::string make_token(TokenWish const& wish, std::string_view secret, WallTime now) {
    auto begin = std::chrono::duration_cast<seconds>(now.time_since_epoch());
    json::object claims{{"sub", wish.subject}, {"iat", begin.count()}};
    claims["exp"] = (begin + wish.ttl).count();
    if (!wish.scope.empty()) claims["scope"] = wish.scope;
    if (!wish.audience.empty()) claims["aud"] = wish.audience;
    if (!wish.issuer.empty()) claims["iss"] = wish.issuer;
    if (!wish.devices.empty()) claims["dev"] = json::value_from(wish.devices);
    auto text =
        base64url(R"({"alg":"HS256","typ":"JWT"})") + "." + base64url(json::serialize(claims));
    return text + "." + base64url(bytes_of(hmac_sha256(secret, text)));
}

}  // namespace spoke::bridge
