#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace spoke::bridge {

/// A POST to a webhook.
struct HookRequest {
    std::string url;  // parse_hook_url() takes it
    std::vector<std::pair<std::string, std::string>> headers{};
    std::string body{};
};

/// What became of it.
struct HookOutcome {
    unsigned status = 0;        // of the response; 0: there was none
    std::string problem{};      // why there was none, in a few words
    std::string retry_after{};  // the header, as it came

    [[nodiscard]] bool is_success() const noexcept { return status / 100 == 2; }
};

/// Sends requests to webhooks.
class HookClient {
public:
    using Done = std::function<void(HookOutcome)>;

    virtual ~HookClient() = default;

    /// `done` comes once, later, within the time that a receiver has.
    virtual void send(HookRequest request, Done done) = 0;
};

}  // namespace spoke::bridge
