#pragma once

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>

#include "device-sim/app/judged_run.hpp"
#include "device-sim/city/programs.hpp"

namespace spoke::sim {

/// Broker and bridge of a run, as they are given on the command line.
struct ProgramArguments {
    ProgramsOptions programs{};
    std::string kills{};
    std::size_t random_kills = 0;
};

/// `begin`: what the times of --kill count from.
void add_program_options(CLI::App& command, ProgramArguments& arguments, std::string const& begin);

/// What they are played with, in a run of this length.
[[nodiscard]] ProgramsOptions program_options(ProgramArguments const& arguments,
                                              HttpClient::Options const& bridge,
                                              std::uint16_t mqtt_port,
                                              std::chrono::milliseconds run_for,
                                              std::uint64_t seed);

void add_report_options(CLI::App& command, ReportOptions& report);

/// The validator of an option which `parse` reads: it gives a value, or what is wrong.
template <class Parse>
[[nodiscard]] CLI::Validator readable_by(Parse parse) {
    return CLI::Validator{[parse](std::string& text) {
                              auto parsed = parse(text);
                              auto const* problem = std::get_if<std::string>(&parsed);
                              return problem == nullptr ? std::string{} : *problem;
                          },
                          "LIST"};
}

/// A port nobody listens on now.
[[nodiscard]] std::uint16_t free_port();

/// A command line in which {mqtt} and {http} stand for the ports.
[[nodiscard]] std::string with_ports(std::string command, std::uint16_t mqtt, std::uint16_t http);

/// Errors  std::runtime_error if there is none.
[[nodiscard]] std::string first_line_of(std::string const& name);

}  // namespace spoke::sim
