#include "bridge/service/publish_keys.hpp"

#include <functional>
#include <utility>

namespace spoke::bridge {
namespace {

constexpr std::size_t kNameBytesMax = 1'024;

std::string name_of(std::string_view topic, std::string_view key) {
    std::string out{topic};
    out.push_back('\n');
    out.append(key);
    return out;
}

std::uint64_t fingerprint_of(std::string_view payload) {
    return std::hash<std::string_view>{}(payload);
}

}  // namespace

bool PublishKeys::is_other(std::string_view topic, std::string_view key,
                           std::string_view payload) const {
    auto found = fingerprints_.find(name_of(topic, key));
    return found != fingerprints_.end() && found->second != fingerprint_of(payload);
}

void PublishKeys::remember(std::string_view topic, std::string_view key, std::string_view payload) {
    auto name = name_of(topic, key);
    if (name.size() > kNameBytesMax) return;
    if (!fingerprints_.insert_or_assign(name, fingerprint_of(payload)).second) return;
    order_.push_back(std::move(name));
    while (order_.size() > kRemembered) {
        fingerprints_.erase(order_.front());
        order_.pop_front();
    }
}

void PublishKeys::forget(std::string_view topic, std::string_view key) {
    fingerprints_.erase(name_of(topic, key));
}

}  // namespace spoke::bridge
