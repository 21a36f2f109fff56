#include "broker/auth/secret.hpp"

#include <openssl/crypto.h>

#include <algorithm>
#include <utility>

namespace spoke::broker {

Secret::Secret(std::string_view text)
    : bytes_(std::make_unique<char[]>(text.size())), size_(text.size()) {
    std::copy(text.begin(), text.end(), bytes_.get());
}

Secret::~Secret() {
    wipe();
}

Secret::Secret(Secret&& other) noexcept
    : bytes_(std::move(other.bytes_)), size_(std::exchange(other.size_, 0)) {}

Secret& Secret::operator=(Secret&& other) noexcept {
    if (this == &other) return *this;
    wipe();
    bytes_ = std::move(other.bytes_);
    size_ = std::exchange(other.size_, 0);
    return *this;
}

void Secret::wipe() noexcept {
    if (bytes_) OPENSSL_cleanse(bytes_.get(), size_);
}

}  // namespace spoke::broker
