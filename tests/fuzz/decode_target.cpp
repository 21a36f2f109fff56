// One program per version and sender: the build gives SPOKE_FUZZ_VERSION and SPOKE_FUZZ_SENDER.
#include "tests/fuzz/target.hpp"

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    using namespace spoke;
    constexpr auto kVersion = mqtt::Version::SPOKE_FUZZ_VERSION;
    constexpr auto kSender = mqtt::Sender::SPOKE_FUZZ_SENDER;
    auto input = fuzz::input_of(data, size);
    fuzz::stop_at(fuzz::check_decode(input, kVersion, kSender));
    fuzz::stop_at(fuzz::check_decode_body(input, kVersion, kSender));
    return 0;
}
