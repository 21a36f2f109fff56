#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace spoke::broker {

/// The subscription identifiers that go with one delivery (MQTT 5, 3.3.2.3.8). None or one, as is
/// most often, costs eight bytes and no allocation.
class SubscriptionIds {
public:
    SubscriptionIds() = default;
    /// 0 stands for none.
    explicit SubscriptionIds(std::uint32_t id) noexcept
        : bits_(id == 0 ? 0 : (std::uintptr_t{id} << 1 | 1)) {}
    explicit SubscriptionIds(std::span<std::uint32_t const> ids) {
        if (ids.size() == 1) {
            *this = SubscriptionIds{ids[0]};
        } else if (!ids.empty()) {
            bits_ = reinterpret_cast<std::uintptr_t>(
                new std::vector<std::uint32_t>(ids.begin(), ids.end()));
        }
    }
    SubscriptionIds(SubscriptionIds&& other) noexcept : bits_(other.bits_) { other.bits_ = 0; }
    SubscriptionIds& operator=(SubscriptionIds&& other) noexcept {
        std::swap(bits_, other.bits_);
        return *this;
    }
    [[nodiscard]] SubscriptionIds clone() const {
        if (is_many()) return SubscriptionIds{std::span<std::uint32_t const>{*many()}};
        SubscriptionIds same;
        same.bits_ = bits_;
        return same;
    }
    ~SubscriptionIds() {
        if (is_many()) delete many();
    }

    [[nodiscard]] bool empty() const noexcept { return bits_ == 0; }
    template <class Visit>
    void each(Visit&& visit) const {
        if (is_many()) {
            for (std::uint32_t id : *many()) visit(id);
        } else if (bits_ != 0) {
            visit(static_cast<std::uint32_t>(bits_ >> 1));
        }
    }

private:
    [[nodiscard]] bool is_many() const noexcept { return bits_ != 0 && (bits_ & 1) == 0; }
    [[nodiscard]] std::vector<std::uint32_t>* many() const noexcept {
        return reinterpret_cast<std::vector<std::uint32_t>*>(bits_);
    }

    std::uintptr_t bits_ = 0;  // low bit set: one id above it; else a pointer
};

}  // namespace spoke::broker
