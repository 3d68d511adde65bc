package dev.curfew.spring;

import org.springframework.boot.autoconfigure.EnableAutoConfiguration;
import org.springframework.context.annotation.Configuration;
import org.springframework.context.annotation.Import;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;

/** A resource server as Boot makes it of its properties. */
@Configuration(proxyBeanMethods = false)
@EnableAutoConfiguration
@Import(ResourceServer.Hello.class)
class ResourceServer {

    @RestController
    static class Hello {
        @GetMapping("/hello")
        String hello() {
            return "hello";
        }
    }
}
