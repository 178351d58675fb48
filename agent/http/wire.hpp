// Requests and responses between our values and Beast's messages: what both clients and both listeners share. Included
// by them only, because Beast is slow to compile. Pure; any thread.
#pragma once

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/error.hpp>
#include <boost/beast/http.hpp>

#include "agent/http/message.hpp"

namespace volcrypt::http {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace wire = boost::beast::http;

inline constexpr auto waiting = asio::as_tuple(asio::use_awaitable);

inline wire::verb verb_of(Method method) noexcept {
  switch (method) {
    case Method::get:
      return wire::verb::get;
    case Method::post:
      return wire::verb::post;
    case Method::put:
      return wire::verb::put;
    case Method::del:
      return wire::verb::delete_;
  }
  return wire::verb::unknown;
}

inline std::optional<Method> method_of(wire::verb verb) noexcept {
  for (Method method : {Method::get, Method::post, Method::put, Method::del})
    if (verb_of(method) == verb) return method;
  return std::nullopt;
}

inline wire::request<wire::string_body> render(Method method, const std::string& target, std::string body) {
  wire::request<wire::string_body> message{verb_of(method), target, 11};
  message.set(wire::field::host, "volcrypt");
  if (!body.empty()) message.set(wire::field::content_type, "application/json");
  message.body() = std::move(body);
  message.prepare_payload();
  return message;
}

inline Response response_of(wire::response<wire::string_body> answer) {
  Response response;
  response.status = answer.result_int();
  response.content_type = std::string(answer[wire::field::content_type]);
  response.body = std::move(answer.body());
  return response;
}

}  // namespace volcrypt::http
