#include <string_view>

#include "bridge/app/access_commands.hpp"
#include "bridge/app/audit_command.hpp"
#include "bridge/app/program.hpp"
#include "bridge/config/load.hpp"

int main(int argc, char** argv) {
    auto command = argc > 1 ? std::string_view{argv[1]} : std::string_view{};
    if (command == "audit") return spoke::bridge::audit_command(argc - 1, argv + 1);
    if (command == "token") return spoke::bridge::token_command(argc - 1, argv + 1);
    if (command == "key") return spoke::bridge::key_command(argc - 1, argv + 1);
    auto loaded = spoke::bridge::load(argc, argv);
    if (auto const* exit_code = std::get_if<int>(&loaded)) return *exit_code;
    return spoke::bridge::run(std::get<spoke::bridge::Loaded>(loaded));
}
