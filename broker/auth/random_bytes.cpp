#include "broker/auth/random_bytes.hpp"

#include <openssl/rand.h>

#include <stdexcept>

namespace spoke::broker {

std::string random_bytes(std::size_t count) {
    std::string bytes(count, '\0');
    auto done = RAND_bytes(reinterpret_cast<unsigned char*>(bytes.data()), static_cast<int>(count));
    if (done != 1) throw std::runtime_error{"there are no random bytes to be had"};
    return bytes;
}

}  // namespace spoke::broker
