// Java's own HTTP client, as it comes: it offers `Upgrade: h2c` with its first request. Called with the server's address.

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;

class Clients {
    public static void main(String[] words) throws Exception {
        var address = URI.create(words[0] + "/graphql");
        var body = "{\"query\":\"{ viewer { kind } }\"}";
        for (var version : HttpClient.Version.values()) {
            var client = HttpClient.newBuilder().version(version).build();
            // A second time over the same connection.
            for (int round = 0; round < 2; round++) {
                var post = HttpRequest.newBuilder(address).header("Content-Type", "application/json")
                        .POST(HttpRequest.BodyPublishers.ofString(body)).build();
                var get = HttpRequest.newBuilder(URI.create(address + "?query=%7Bviewer%7Bkind%7D%7D")).build();
                for (var request : new HttpRequest[] { post, get }) {
                    var answer = client.send(request, HttpResponse.BodyHandlers.ofString());
                    if (answer.statusCode() != 200 || !answer.body().contains("\"kind\":\"ANONYMOUS\"")) {
                        throw new AssertionError(version + " " + answer.statusCode() + " " + answer.body());
                    }
                }
            }
        }
    }
}
