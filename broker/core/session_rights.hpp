#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "broker/core/ports/authorizer.hpp"

namespace spoke::broker {

/// Whose session it is, and what that client may do now. Owned by its session; asks again when the
/// rules have changed, so that a right which was taken away stops what is queued already.
class SessionRights {
public:
    /// The authorizer outlives this.
    SessionRights(Authorizer const& authorizer, std::optional<std::string> user_name)
        : authorizer_(authorizer), user_name_(std::move(user_name)) {}

    [[nodiscard]] Access const& access(std::string_view client_id) {
        // Read before the rules, so that a change in between is seen at the next call.
        auto generation = authorizer_.generation();
        if (!access_ || generation != generation_) {
            access_ = authorizer_.access_of(client_id, user_name_);
            generation_ = generation;
        }
        return *access_;
    }

private:
    Authorizer const& authorizer_;
    std::optional<std::string> user_name_;
    std::shared_ptr<Access const> access_{};
    std::uint64_t generation_ = 0;
};

}  // namespace spoke::broker
