#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

namespace spoke::broker {

/// What one client may do. Immutable; asked for every message, so quick and without allocation.
class Access {
public:
    virtual ~Access() = default;

    /// `topic`: a topic name, mount point included.
    [[nodiscard]] virtual bool may_publish(std::string_view topic) const noexcept = 0;
    [[nodiscard]] virtual bool may_receive(std::string_view topic) const noexcept = 0;
    /// Whether there is any topic that `filter` matches and that may be received. `filter`: without
    /// "$share/NAME/", mount point included.
    [[nodiscard]] virtual bool may_subscribe(std::string_view filter) const = 0;
};

/// Where the rights of clients come from. Called from every shard's thread; no call blocks.
class Authorizer {
public:
    virtual ~Authorizer() = default;

    /// Never null.
    [[nodiscard]] virtual std::shared_ptr<Access const> access_of(
        std::string_view client_id, std::optional<std::string_view> user_name) const = 0;
    /// Changes when rights have changed: what access_of() gave before no longer holds.
    [[nodiscard]] virtual std::uint64_t generation() const noexcept = 0;
};

}  // namespace spoke::broker
