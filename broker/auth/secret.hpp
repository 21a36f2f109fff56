#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

namespace spoke::broker {

/// Bytes that are wiped from memory when they are no longer needed: passwords.
class Secret {
public:
    Secret() = default;
    explicit Secret(std::string_view text);
    ~Secret();
    Secret(Secret&& other) noexcept;
    Secret& operator=(Secret&& other) noexcept;

    [[nodiscard]] std::string_view view() const noexcept { return {bytes_.get(), size_}; }

private:
    void wipe() noexcept;

    std::unique_ptr<char[]> bytes_;
    std::size_t size_ = 0;
};

}  // namespace spoke::broker
