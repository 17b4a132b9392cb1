# cmake -DOPENSSL=... -DFOLDER=... -P certificates.cmake: a CA, and a server's certificate under the service's name.
file(MAKE_DIRECTORY ${FOLDER})
file(WRITE ${FOLDER}/names.txt "subjectAltName=DNS:service.evener.test\n")

function(openssl)
  execute_process(COMMAND ${OPENSSL} ${ARGN} WORKING_DIRECTORY ${FOLDER} RESULT_VARIABLE failed ERROR_VARIABLE text)
  if(failed)
    message(FATAL_ERROR "openssl ${ARGN}: ${text}")
  endif()
endfunction()

openssl(req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=evener-test-ca -keyout ca.key -out ca.pem)
openssl(req -newkey rsa:2048 -nodes -subj /CN=server -keyout server.key -out server.csr)
openssl(x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -extfile names.txt -out server.pem)
