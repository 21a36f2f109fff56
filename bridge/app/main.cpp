#include "bridge/app/program.hpp"
#include "bridge/config/load.hpp"

int main(int argc, char** argv) {
    auto loaded = spoke::bridge::load(argc, argv);
    if (auto const* exit_code = std::get_if<int>(&loaded)) return *exit_code;
    return spoke::bridge::run(std::get<spoke::bridge::Loaded>(loaded));
}
