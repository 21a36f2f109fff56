#include <fmt/format.h>

#include <cstdio>
#include <exception>

#include "broker/app/wiring.hpp"
#include "broker/config/load.hpp"

int main(int argc, char** argv) {
    auto loaded = spoke::broker::load(argc, argv);
    if (auto const* exit_code = std::get_if<int>(&loaded)) return *exit_code;
    try {
        spoke::broker::run(std::get<spoke::broker::Loaded>(loaded));
        return 0;
    } catch (std::exception const& error) {
        fmt::print(stderr, "spoke-broker: {}\n", error.what());
        return 1;
    }
}
