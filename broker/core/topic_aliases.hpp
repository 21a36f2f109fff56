#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace spoke::broker {

/// Aliases set by the client on one connection (MQTT 5, 3.3.2.3.4).
class InboundAliases {
public:
    explicit InboundAliases(std::uint16_t maximum) : topics_(maximum) {}

    /// Whether `alias` lies in 1..maximum [MQTT-3.3.2-8] [MQTT-3.3.2-9].
    [[nodiscard]] bool allows(std::uint16_t alias) const noexcept {
        return alias >= 1 && alias <= topics_.size();
    }
    void set(std::uint16_t alias, std::string_view topic) { topics_[alias - 1U] = topic; }
    /// Empty if the alias was not set on this connection [MQTT-3.3.2-7].
    [[nodiscard]] std::string_view find(std::uint16_t alias) const noexcept {
        return topics_[alias - 1U];
    }

private:
    std::vector<std::string> topics_;
};

/// Aliases the broker uses towards the client: the first topics get them and keep them, up to the
/// client's topic alias maximum [MQTT-3.1.2-26].
class OutboundAliases {
public:
    explicit OutboundAliases(std::uint16_t maximum) : maximum_(maximum) {}

    struct Use {
        std::uint16_t alias = 0;  // 0: none, the topic goes in full
        bool is_set = false;      // the client knows it: the topic may be left out
    };
    [[nodiscard]] Use find(std::string_view topic) const {
        if (auto found = aliases_.find(std::string{topic}); found != aliases_.end()) {
            return {found->second, true};
        }
        if (aliases_.size() >= maximum_) return {};
        return {static_cast<std::uint16_t>(aliases_.size() + 1), false};
    }
    /// The packet that sets `alias` is in the out-queue for good.
    void set(std::string_view topic, std::uint16_t alias) { aliases_.emplace(topic, alias); }

private:
    std::uint16_t maximum_;
    std::unordered_map<std::string, std::uint16_t> aliases_;
};

}  // namespace spoke::broker
