// Where a node listens, as the membership document and the configuration spell it: "192.0.2.7:4007",
// "[2001:db8::7]:4007". Numbers only: see the README. Pure; any thread.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <string>
#include <string_view>

namespace volcrypt::peer {

inline constexpr unsigned short default_port = 4007;

using Address = boost::asio::ip::tcp::endpoint;

// With or without a port, an IPv6 address with or without brackets. Throws Error(errc::invalid_argument) that says what
// is wrong: a name, port 0, an address that is nobody's or everybody's.
Address parse_address(std::string_view text);
std::string to_text(const Address& address);  // always with its port

}  // namespace volcrypt::peer
