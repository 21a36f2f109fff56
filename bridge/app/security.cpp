#include "bridge/app/security.hpp"

#include <cerrno>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <system_error>

namespace spoke::bridge {
namespace {

/// What `parse` makes of the file, with the file's name in the error.
template <class Parse>
auto parsed(std::string const& path, Parse parse) {
    auto text = read_small_file(path);
    try {
        return parse(text);
    } catch (std::invalid_argument const& error) {
        throw std::runtime_error(path + ": " + error.what());
    }
}

}  // namespace

std::string read_small_file(std::string const& path) {
    constexpr std::size_t kSizeMax = 16 << 20;
    std::ifstream file{path, std::ios::binary};
    if (!file) throw std::runtime_error(path + ": " + std::generic_category().message(errno));
    std::string text(kSizeMax + 1, '\0');
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    if (file.bad()) throw std::runtime_error(path + ": cannot be read");
    text.resize(static_cast<std::size_t>(file.gcount()));
    if (text.size() > kSizeMax) throw std::runtime_error(path + ": has more than 16 MiB");
    return text;
}

KeyMaterial load_keys(AuthConfig const& config) {
    KeyMaterial out;
    if (!config.jwks_file.empty()) {
        out.token_keys = parsed(config.jwks_file, parse_key_set);
        out.is_wanted = true;
    }
    if (!config.secret_file.empty()) {
        out.token_keys.push_back(parsed(config.secret_file, parse_secret));
        out.is_wanted = true;
    }
    if (!config.keys_file.empty()) {
        out.api_keys = parsed(config.keys_file, parse_api_keys);
        out.is_wanted = true;
    }
    return out;
}

TokenRules token_rules(AuthConfig const& config) {
    return {config.audience, config.issuer, config.leeway};
}

Api::Settings api_settings(Config const& config) {
    auto const& rate = config.rate;
    auto const& events = config.events;
    Api::Settings settings;
    settings.per_caller = {rate.per_second, rate.burst};
    settings.per_address = {rate.anonymous_per_second, rate.anonymous_burst};
    settings.buckets_max = rate.buckets_max;
    settings.examples = config.http.examples;
    settings.tokens_max = config.tokens.open_max;
    settings.token_ttl = config.tokens.ttl;
    settings.token_ttl_max = config.tokens.ttl_max;
    settings.hooks = {config.hooks.allow_http, config.hooks.allow_private};
    settings.events.streams_max = events.streams_max;
    settings.events.polls_max = events.polls_max;
    settings.events.filters_max = events.filters_max;
    settings.events.stream_bytes_max = events.stream_bytes_max;
    settings.events.message_bytes_max = events.message_bytes_max;
    settings.events.slow_timeout = events.slow_timeout;
    return settings;
}

}  // namespace spoke::bridge
