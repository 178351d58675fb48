// See address.hpp.
#include "agent/peer/address.hpp"

#include <boost/asio/ip/address.hpp>
#include <charconv>

#include "dmtarget/error.hpp"

namespace volcrypt::peer {
namespace {

namespace ip = boost::asio::ip;

[[noreturn]] void refuse(std::string_view text, std::string why) {
  throw Error(errc::invalid_argument, {"use as a node's address", quoted(text), std::move(why)});
}

unsigned short parse_port(std::string_view whole, std::string_view digits) {
  unsigned short port = 0;
  const auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (failed != std::errc() || end != digits.data() + digits.size() || port == 0 || digits.front() == '0')
    refuse(whole, "Its port must be a number from 1 to 65535.");
  return port;
}

}  // namespace

Address parse_address(std::string_view text) {
  std::string_view host = text;
  unsigned short port = default_port;
  if (text.starts_with('[')) {
    const auto end = text.find(']');
    if (end == std::string_view::npos) refuse(text, "The bracket is not closed.");
    host = text.substr(1, end - 1);
    const std::string_view rest = text.substr(end + 1);
    if (!rest.empty() && !rest.starts_with(':')) refuse(text, "After the bracket comes a colon and the port.");
    if (!rest.empty()) port = parse_port(text, rest.substr(1));
  } else if (const auto colon = text.find(':');
             colon != std::string_view::npos && text.find(':', colon + 1) == std::string_view::npos) {
    host = text.substr(0, colon);
    port = parse_port(text, text.substr(colon + 1));
  }
  boost::system::error_code failed;
  const ip::address address = ip::make_address(std::string(host), failed);
  if (failed) refuse(text, "Give an IPv4 or IPv6 address, not a name: the cluster comes up before its DNS does.");
  if (text.starts_with('[') && !address.is_v6()) refuse(text, "Brackets are for IPv6 addresses.");
  if (address.is_v6() && address.to_v6().is_v4_mapped()) refuse(text, "Give the IPv4 address itself.");
  if (address.is_unspecified() || address.is_multicast())
    refuse(text, "Give an address by which the other nodes reach this one.");
  return {address, port};
}

std::string to_text(const Address& address) {
  const std::string host = address.address().to_string();
  return (address.address().is_v6() ? "[" + host + "]" : host) + ":" + std::to_string(address.port());
}

}  // namespace volcrypt::peer
