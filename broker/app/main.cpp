#include <fmt/format.h>

#include <cstdio>
#include <exception>
#include <string_view>

#include "broker/app/passwd.hpp"
#include "broker/app/store_command.hpp"
#include "broker/app/wiring.hpp"
#include "broker/config/load.hpp"

int main(int argc, char** argv) {
    if (argc > 1 && std::string_view{argv[1]} == "passwd")
        return spoke::broker::passwd(argc - 1, argv + 1);
    if (argc > 1 && std::string_view{argv[1]} == "store")
        return spoke::broker::store_command(argc - 1, argv + 1);
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
