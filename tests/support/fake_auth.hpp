#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "broker/core/ports/authenticator.hpp"
#include "broker/core/ports/authorizer.hpp"

namespace spoke::test {

/// The method "echo": the client begins with its name, is told "again:NAME" and must repeat that;
/// "bye" ends it well, anything else badly. With "quick:NAME" one step is enough.
class EchoExchange final : public broker::AuthExchange {
public:
    Step step(Bytes data) override {
        std::string text{as_text(data)};
        if (text.starts_with("quick:")) return accept(text.substr(6));
        if (name_.empty()) {
            name_ = text;
            return {Step::Kind::go_on, buffer("again:" + text)};
        }
        if (text == "again:" + name_) return accept(name_);
        return {Step::Kind::refused, {}, "it says " + text};
    }
    std::string const& user_name() const override { return name_; }

private:
    static Buffer buffer(std::string const& text) {
        auto bytes = as_bytes(text);
        return {bytes.begin(), bytes.end()};
    }
    Step accept(std::string name) {
        name_ = std::move(name);
        return {Step::Kind::accepted, buffer("bye")};
    }
    std::string name_;
};

/// Knows users and their passwords; answers at once, or when the test says so.
class FakeAuthenticator final : public broker::Authenticator {
public:
    std::map<std::string, std::string> users{};
    bool anonymous = true;
    bool offers_echo = true;
    bool holds = false;  // verdicts wait for answer()

    struct Held {
        broker::Credentials credentials;
        Done done;
    };
    std::vector<Held> held{};

    std::optional<broker::AuthVerdict> authenticate(broker::Credentials credentials,
                                                    Done done) override {
        if (!holds) return verdict_of(credentials);
        held.push_back({std::move(credentials), std::move(done)});
        return std::nullopt;
    }
    std::unique_ptr<broker::AuthExchange> begin(std::string_view method) override {
        if (method != "echo" || !offers_echo) return nullptr;
        return std::make_unique<EchoExchange>();
    }
    /// The verdict on the one that has waited longest.
    void answer() {
        auto first = std::move(held.front());
        held.erase(held.begin());
        first.done(verdict_of(first.credentials));
    }

private:
    [[nodiscard]] broker::AuthVerdict verdict_of(broker::Credentials const& shown) const {
        if (shown.shown_by_transport) return mqtt::ReasonCode::success;
        if (!shown.user_name) {
            return anonymous ? mqtt::ReasonCode::success : mqtt::ReasonCode::not_authorized;
        }
        auto known = users.find(*shown.user_name);
        bool good =
            known != users.end() && shown.password && as_text(*shown.password) == known->second;
        return good ? mqtt::ReasonCode::success : mqtt::ReasonCode::bad_user_name_or_password;
    }
};

/// Rights by client: each may do what is not in its sets of forbidden topics and filters.
class FakeAuthorizer final : public broker::Authorizer {
public:
    struct Forbidden {
        std::set<std::string, std::less<>> publish{};
        std::set<std::string, std::less<>> receive{};
        std::set<std::string, std::less<>> subscribe{};
    };
    /// By "CLIENT/USER", or "CLIENT/" for one without a user name.
    void forbid(std::string const& who, Forbidden what) {
        forbidden_[who] = std::make_shared<Rules>(std::move(what));
        ++generation_;
    }

    std::shared_ptr<broker::Access const> access_of(
        std::string_view client_id, std::optional<std::string_view> user_name) const override {
        auto who = std::string{client_id} + "/" + std::string{user_name.value_or("")};
        auto found = forbidden_.find(who);
        if (found == forbidden_.end()) return std::make_shared<Rules>(Forbidden{});
        return found->second;
    }
    std::uint64_t generation() const noexcept override { return generation_; }

private:
    struct Rules final : broker::Access {
        explicit Rules(Forbidden what) : forbidden(std::move(what)) {}
        bool may_publish(std::string_view topic) const noexcept override {
            return !forbidden.publish.contains(topic);
        }
        bool may_receive(std::string_view topic) const noexcept override {
            return !forbidden.receive.contains(topic);
        }
        bool may_subscribe(std::string_view filter) const override {
            return !forbidden.subscribe.contains(filter);
        }
        Forbidden forbidden;
    };
    std::map<std::string, std::shared_ptr<Rules>> forbidden_;
    std::uint64_t generation_ = 1;
};

}  // namespace spoke::test
