#pragma once

#include <cstdint>
#include <string>

namespace spoke::sim {

/// A port nobody listens on now.
[[nodiscard]] std::uint16_t free_port();

/// A command line in which {mqtt} and {http} stand for the ports.
[[nodiscard]] std::string with_ports(std::string command, std::uint16_t mqtt, std::uint16_t http);

/// Errors  std::runtime_error if there is none.
[[nodiscard]] std::string first_line_of(std::string const& name);

}  // namespace spoke::sim
