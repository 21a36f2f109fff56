// One program per function of entry.hpp that takes bytes alone: the build gives SPOKE_FUZZ_CHECK.
#include "tests/fuzz/target.hpp"

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    spoke::fuzz::stop_at(spoke::fuzz::SPOKE_FUZZ_CHECK(spoke::fuzz::input_of(data, size)));
    return 0;
}
