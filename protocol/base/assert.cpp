#include "protocol/base/assert.hpp"

#include <cstdio>
#include <cstdlib>

namespace spoke {

void assertion_failed(char const* condition, char const* file, int line) noexcept {
    std::fprintf(stderr, "%s:%d: broken assertion: %s\n", file, line, condition);
    std::abort();
}

}  // namespace spoke
