#include <algorithm>
#include <boost/json.hpp>
#include <optional>
#include <stdexcept>

#include "bridge/access/encoding.hpp"
#include "bridge/access/verification_key.hpp"

namespace spoke::bridge {
namespace {

namespace json = boost::json;

constexpr std::size_t kKeysMax = 100;

std::string_view text_of(json::object const& key, std::string_view name) {
    auto const* value = key.if_contains(name);
    auto const* text = value == nullptr ? nullptr : value->if_string();
    return text == nullptr ? std::string_view{} : std::string_view{*text};
}

std::string bytes_of_member(json::object const& key, std::string_view name) {
    auto bytes = from_base64url(text_of(key, name));
    if (!bytes || bytes->empty()) {
        throw std::invalid_argument{"a key's \"" + std::string{name} + "\" is not base64url"};
    }
    return std::move(*bytes);
}

/// What the key is for, by its own account: checking signatures, with the algorithm that its type
/// is good for here.
bool is_for(json::object const& key, Algorithm algorithm) {
    auto use = text_of(key, "use");
    if (!use.empty() && use != "sig") return false;
    if (auto const* operations = key.if_contains("key_ops")) {
        auto const* list = operations->if_array();
        if (list == nullptr || std::ranges::find(*list, json::value("verify")) == list->end()) {
            return false;
        }
    }
    auto alg = text_of(key, "alg");
    return alg.empty() || alg == name_of(algorithm);
}

std::optional<VerificationKey> parse_key(json::object const& key) {
    VerificationKey::Label label{std::string{text_of(key, "kid")}};
    auto type = text_of(key, "kty");
    if (type == "oct" && is_for(key, Algorithm::hs256)) {
        return VerificationKey::hs256(bytes_of_member(key, "k"), label);
    }
    if (type == "RSA" && is_for(key, Algorithm::rs256)) {
        return VerificationKey::rs256(bytes_of_member(key, "n"), bytes_of_member(key, "e"), label);
    }
    if (type == "EC" && text_of(key, "crv") == "P-256" && is_for(key, Algorithm::es256)) {
        return VerificationKey::es256(bytes_of_member(key, "x"), bytes_of_member(key, "y"), label);
    }
    return std::nullopt;
}

}  // namespace

std::vector<VerificationKey> parse_key_set(std::string_view json_text) {
    json::error_code error;
    auto value = json::parse(json_text, error);
    auto const* set = error.failed() ? nullptr : value.if_object();
    auto const* member = set == nullptr ? nullptr : set->if_contains("keys");
    auto const* keys = member == nullptr ? nullptr : member->if_array();
    if (keys == nullptr) throw std::invalid_argument{"not a JWK Set: {\"keys\":[...]}"};
    if (keys->size() > kKeysMax) throw std::invalid_argument{"more than 100 keys"};
    std::vector<VerificationKey> out;
    for (auto const& key : *keys) {
        auto const* object = key.if_object();
        if (object == nullptr) throw std::invalid_argument{"a key is not an object"};
        if (auto parsed = parse_key(*object)) out.push_back(std::move(*parsed));
    }
    if (out.empty()) {
        throw std::invalid_argument{"no key for HS256 (oct), RS256 (RSA) or ES256 (EC, P-256)"};
    }
    return out;
}

std::string_view secret_of(std::string_view text) noexcept {
    auto line = text.substr(0, text.find('\n'));
    if (line.ends_with('\r')) line.remove_suffix(1);
    return line;
}

VerificationKey parse_secret(std::string_view text) {
    return VerificationKey::hs256(std::string{secret_of(text)}, {});
}

}  // namespace spoke::bridge
