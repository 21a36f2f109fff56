#pragma once

#include <algorithm>
#include <catch2/catch.hpp>
#include <deque>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bridge/hook/hook_client.hpp"

namespace spoke::bridge::test {

/// Receivers that answer when the test says so.
class FakeHookClient final : public HookClient {
public:
    struct Sent {
        HookRequest request;
        Done done;

        std::string header(std::string_view name) const {
            for (auto const& [key, value] : request.headers) {
                if (key == name) return value;
            }
            return {};
        }
        std::string id() const { return header("Webhook-Id"); }
    };

    void send(HookRequest request, Done done) override {
        open.push_back({std::move(request), std::move(done)});
        most = std::max(most, open.size());
    }

    /// The oldest open one is answered; its id.
    std::string answer(unsigned status, std::string retry_after = {}) {
        REQUIRE_FALSE(open.empty());
        auto sent = std::move(open.front());
        open.pop_front();
        sent.done({status, status == 0 ? "timeout" : "", std::move(retry_after)});
        return sent.id();
    }

    std::vector<std::string> ids() const {
        std::vector<std::string> out;
        for (auto const& sent : open) out.push_back(sent.id());
        return out;
    }

    std::deque<Sent> open;
    std::size_t most = 0;
};

}  // namespace spoke::bridge::test
