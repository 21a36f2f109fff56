#include "bridge/app/random_words.hpp"

#include <sys/random.h>

#include <cerrno>
#include <span>
#include <system_error>

namespace spoke::bridge {
namespace {

void fill(std::span<std::byte> out) {
    while (!out.empty()) {
        auto size = ::getrandom(out.data(), out.size(), 0);
        if (size > 0) {
            out = out.subspan(static_cast<std::size_t>(size));
        } else if (errno != EINTR) {
            throw std::system_error(errno, std::generic_category(), "getrandom");
        }
    }
}

}  // namespace

std::uint64_t RandomWords::operator()() {
    if (used_ == words_.size()) {
        fill(std::as_writable_bytes(std::span{words_}));
        used_ = 0;
    }
    return words_[used_++];
}

}  // namespace spoke::bridge
