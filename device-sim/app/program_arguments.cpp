#include "device-sim/app/program_arguments.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <fstream>
#include <stdexcept>

namespace spoke::sim {
namespace {

void replace_all(std::string& text, std::string const& what, std::string const& with) {
    for (auto at = text.find(what); at != std::string::npos;
         at = text.find(what, at + with.size())) {
        text.replace(at, what.size(), with);
    }
}

}  // namespace

std::uint16_t free_port() {
    namespace asio = boost::asio;
    asio::io_context context;
    asio::ip::tcp::acceptor acceptor{context, {asio::ip::make_address("127.0.0.1"), 0}};
    return acceptor.local_endpoint().port();
}

std::string with_ports(std::string command, std::uint16_t mqtt, std::uint16_t http) {
    replace_all(command, "{mqtt}", std::to_string(mqtt));
    replace_all(command, "{http}", std::to_string(http));
    return command;
}

std::string first_line_of(std::string const& name) {
    std::ifstream file{name};
    std::string line;
    if (!std::getline(file, line) || line.empty()) {
        throw std::runtime_error{"there is no token in " + name};
    }
    return line;
}

}  // namespace spoke::sim
