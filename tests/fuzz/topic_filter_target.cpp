#include "tests/fuzz/target.hpp"

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    spoke::fuzz::stop_at(spoke::fuzz::check_topic_filter(spoke::fuzz::input_of(data, size)));
    return 0;
}
